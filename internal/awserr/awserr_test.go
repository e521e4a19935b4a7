package awserr_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/apus-storage/apus/internal/awserr"
)

func TestError(t *testing.T) {
	err := fmt.Errorf("parse: %w", awserr.New(awserr.IncompleteBody, "Too short.", "Got", "3", "Want", "4").Because(io.ErrUnexpectedEOF))
	if !errors.Is(err, awserr.IncompleteBody) || errors.Is(err, awserr.BadDigest) {
		t.Errorf("%v: want it to be IncompleteBody and nothing else", err)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v: the error below is lost", err)
	}
	var e *awserr.Error
	if !errors.As(err, &e) || e.Detail("Want") != "4" || e.Detail("Else") != "" || len(e.Details) != 2 {
		t.Errorf("%v: want two details, got %v", err, e)
	}
	if got, want := err.Error(), "parse: IncompleteBody: Too short.: unexpected EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := awserr.New(awserr.AccessDenied, "").Error(); got != "AccessDenied" {
		t.Errorf("got %q", got)
	}
}
