package s3api_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/checksum"
)

// sumOf is the checksum of a text.
func sumOf(a checksum.Algorithm, text string) string {
	h := a.New()
	io.WriteString(h, text)
	return checksum.Of(a, h).String()
}

// sums are the checksums in an answer to GET or HEAD, and their type.
func sums(a answer) string {
	var found []string
	for _, algorithm := range checksum.All() {
		if v := a.header.Get(algorithm.Header()); v != "" {
			found = append(found, v)
		}
	}
	return strings.Join(append(found, a.header.Get("x-amz-checksum-type")), " ")
}

// TestChecksumsOfCopiesAndParts: a copy is one piece, and has the checksum of that; of an object in parts each part has its own.
func TestChecksumsOfCopiesAndParts(t *testing.T) {
	b := newCluster(t).bucket("sums")
	shown := headers("x-amz-checksum-mode", "ENABLED")
	parts := []string{strings.Repeat("part one", 5<<20/8), "part two"}
	whole := strings.Join(parts, "")

	plain := sumOf(checksum.CRC32C, "plain")
	b.want(200, "with a checksum", owner, "PUT", "/sums/plain", headers("x-amz-checksum-crc32c", plain), "plain")
	b.want(200, "without", owner, "PUT", "/sums/none", nil, "none")
	begun := b.want(200, "begin", owner, "POST", "/sums/parts?uploads", headers("x-amz-checksum-algorithm", "SHA512"), "")
	_, id, _ := strings.Cut(begun.body, "<UploadId>")
	id, _, _ = strings.Cut(id, "<")
	done := "<CompleteMultipartUpload>"
	for i, text := range parts {
		sum := sumOf(checksum.SHA512, text)
		a := b.want(200, "a part", owner, "PUT", fmt.Sprintf("/sums/parts?partNumber=%d&uploadId=%s", i+1, id), headers("x-amz-checksum-sha512", sum), text)
		done += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><ChecksumSHA512>%s</ChecksumSHA512></Part>", i+1, a.header.Get("Etag"), sum)
	}
	b.want(200, "complete", owner, "POST", "/sums/parts?uploadId="+id, nil, done+"</CompleteMultipartUpload>")

	for _, c := range []struct{ name, source, algorithm, want string }{
		{"carried along", "plain", "", plain + " FULL_OBJECT"},
		{"the same", "plain", "CRC32C", plain + " FULL_OBJECT"},
		{"another", "plain", "XXHASH3", sumOf(checksum.XXHash3, "plain") + " FULL_OBJECT"},
		{"a first one", "none", "SHA256", sumOf(checksum.SHA256, "none") + " FULL_OBJECT"},
		{"none", "none", "", ""},
		{"of the whole", "parts", "", sumOf(checksum.SHA512, whole) + " FULL_OBJECT"},
		{"another of the whole", "parts", "CRC64NVME", sumOf(checksum.CRC64NVME, whole) + " FULL_OBJECT"},
	} {
		for _, directive := range []string{"COPY", "REPLACE"} {
			h := headers("x-amz-copy-source", "/sums/"+c.source, "x-amz-metadata-directive", directive)
			if c.algorithm != "" {
				h.Set("x-amz-checksum-algorithm", c.algorithm)
			}
			a := b.want(200, c.name, owner, "PUT", "/sums/copy", h, "")
			for _, said := range strings.Fields(c.want) {
				if !strings.Contains(a.body, ">"+said+"<") {
					t.Errorf("%s, %s: the answer to the copy lacks %s: %s", c.name, directive, said, a.body)
				}
			}
			if got := strings.TrimSpace(sums(b.want(200, c.name, owner, "HEAD", "/sums/copy", shown, ""))); got != c.want {
				t.Errorf("%s, %s: the copy has %q, want %q", c.name, directive, got, c.want)
			}
		}
	}
	b.want("InvalidRequest", "of an unknown kind", owner, "PUT", "/sums/copy", headers("x-amz-copy-source", "/sums/plain", "x-amz-checksum-algorithm", "MD4"), "")

	for i, text := range parts {
		for _, method := range []string{"GET", "HEAD"} {
			a := b.want(206, "a part", owner, method, fmt.Sprintf("/sums/parts?partNumber=%d", i+1), shown, "")
			if want := sumOf(checksum.SHA512, text) + " COMPOSITE"; sums(a) != want {
				t.Errorf("%s of part %d has %q, want %q", method, i+1, sums(a), want)
			}
		}
		if got := sums(b.want(206, "a part", owner, "GET", fmt.Sprintf("/sums/parts?partNumber=%d", i+1), nil, "")); got != "" {
			t.Errorf("part %d has %q, which nobody has asked for", i+1, got)
		}
	}
}
