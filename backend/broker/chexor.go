package broker

import (
	"crypto/md5"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strconv"
)

// zeroHash is the rolling hash of a database without rows.
const zeroHash = "00000000000000000000000000000000"

// Chexor folds one row into a rolling hash, or takes it out again: old XOR md5(name-timestamp), in hex. Two databases
// with the same rows have the same hash, in whatever order the rows came.
func Chexor(old, name, timestamp string) (string, error) {
	var sum [md5.Size]byte
	// An old hash of another length is an error: the column is always 32 digits.
	if n, err := hex.Decode(sum[:], []byte(old)); err != nil || n != md5.Size {
		return "", fmt.Errorf("chexor %q: rolling hash is not 32 hex digits", old)
	}
	buf := make([]byte, 0, 128)
	buf = append(buf, name...)
	buf = append(buf, '-')
	buf = append(buf, timestamp...)
	for i, b := range md5.Sum(buf) {
		sum[i] ^= b
	}
	return hex.EncodeToString(sum[:]), nil
}

// chexorSQL is what the triggers of both schemas call.
func chexorSQL(args []driver.Value) (driver.Value, error) {
	// A NULL name or time can only come from a damaged row; Swift's function fails on it too.
	var text [3]string
	for i, a := range args {
		switch v := a.(type) {
		case string:
			text[i] = v
		case int64:
			text[i] = strconv.FormatInt(v, 10)
		default:
			return nil, fmt.Errorf("chexor: argument %d is a %T", i+1, a)
		}
	}
	return Chexor(text[0], text[1], text[2])
}
