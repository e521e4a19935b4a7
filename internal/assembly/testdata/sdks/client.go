// Client stores and fetches what the plan says, with the SDK for Go. It writes a line of JSON for each step. The test that
// runs it makes it a module of its own, with the newest SDK.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

type step struct{ Name, File, How, Algorithm string }

type line struct {
	Version  string `json:"version,omitempty"`
	Name     string `json:"name,omitempty"`
	Error    string `json:"error,omitempty"`
	Lacks    string `json:"lacks,omitempty"`
	Checksum string `json:"checksum,omitempty"`
	Kind     string `json:"kind,omitempty"`
	ETag     string `json:"etag,omitempty"`
}

var plan struct {
	Endpoint, Key, Secret, Bucket string
	Steps                         []step
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &plan)
	}
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(plan.Key, plan.Secret, "")))
	if err != nil {
		panic(err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle, o.RetryMaxAttempts = aws.String(plan.Endpoint), true, 1
	})
	say := json.NewEncoder(os.Stdout)
	info, _ := debug.ReadBuildInfo()
	version := info.GoVersion
	for _, d := range info.Deps {
		if strings.HasSuffix(d.Path, "/service/s3") || strings.HasSuffix(d.Path, "/transfermanager") {
			version += ", " + d.Path + " " + d.Version
		}
	}
	say.Encode(line{Version: version})
	for _, s := range plan.Steps {
		l, err := s.run(ctx, client)
		switch l.Name = s.Name; {
		case err != nil && strings.Contains(err.Error(), "unknown checksum algorithm, "+s.Algorithm):
			l.Lacks = err.Error()
		case err != nil:
			l.Error = err.Error()
		}
		say.Encode(l)
	}
}

// A pipe cannot go back and does not say how long it is.
type pipe struct{ io.Reader }

func (s step) run(ctx context.Context, client *s3.Client) (l line, err error) {
	data, err := os.ReadFile(s.File)
	if err != nil {
		return l, err
	}
	if err := s.store(ctx, client, data); err != nil {
		return l, err
	}
	got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &plan.Bucket, Key: &s.Name, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return l, err
	}
	defer got.Body.Close()
	back, err := io.ReadAll(got.Body)
	if err != nil {
		return l, err
	}
	if !bytes.Equal(back, data) {
		return l, fmt.Errorf("%d bytes came back that are not the %d sent", len(back), len(data))
	}
	if got.Metadata["step"] != "a b" {
		return l, fmt.Errorf("metadata %v", got.Metadata)
	}
	a, err := client.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: &plan.Bucket, Key: &s.Name, ObjectAttributes: []types.ObjectAttributes{
		types.ObjectAttributesEtag, types.ObjectAttributesChecksum, types.ObjectAttributesObjectParts, types.ObjectAttributesObjectSize,
	}})
	if err != nil {
		return l, err
	}
	if aws.ToInt64(a.ObjectSize) != int64(len(data)) {
		return l, fmt.Errorf("attributes say %d bytes", aws.ToInt64(a.ObjectSize))
	}
	l.ETag = aws.ToString(a.ETag)
	if c := a.Checksum; c != nil {
		l.Kind = string(c.ChecksumType)
		for name, v := range map[string]*string{"CRC32": c.ChecksumCRC32, "CRC32C": c.ChecksumCRC32C, "CRC64NVME": c.ChecksumCRC64NVME,
			"SHA1": c.ChecksumSHA1, "SHA256": c.ChecksumSHA256, "SHA512": c.ChecksumSHA512} {
			if v != nil {
				l.Checksum = name + "=" + *v
			}
		}
	}
	return l, nil
}

func (s step) store(ctx context.Context, client *s3.Client, data []byte) error {
	meta := map[string]string{"step": "a b"}
	in := &s3.PutObjectInput{Bucket: &plan.Bucket, Key: &s.Name, Metadata: meta, ChecksumAlgorithm: types.ChecksumAlgorithm(s.Algorithm)}
	switch s.How {
	case "put":
		in.Body = bytes.NewReader(data)
	case "stream":
		in.Body, in.ContentLength = pipe{bytes.NewReader(data)}, aws.Int64(int64(len(data)))
	case "upload":
		_, err := transfermanager.New(client).UploadObject(ctx, &transfermanager.UploadObjectInput{
			Bucket: &plan.Bucket, Key: &s.Name, Metadata: meta, ChecksumAlgorithm: tmtypes.ChecksumAlgorithm(s.Algorithm),
			Body: pipe{bytes.NewReader(data)},
		})
		return err
	default:
		return errors.New("no such step: " + s.How)
	}
	_, err := client.PutObject(ctx, in)
	return err
}
