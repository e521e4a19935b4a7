package constraint

import (
	"strings"
	"testing"
)

func TestDefaultsAreValidAndGiveSwiftsHeaderCount(t *testing.T) {
	l := Default()
	if err := l.Validate(); err != nil {
		t.Fatalf("Default().Validate() = %v, want nil", err)
	}
	l.ExtraHeaderCount = 4
	if got, want := l.MaxHeaderCount(), 90+36+4; got != want {
		t.Errorf("MaxHeaderCount() with 4 extra = %d, want %d", got, want)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Limits)
		want   string
	}{
		"a negative size":      {func(l *Limits) { l.MaxFileSize = -1 }, "max_file_size"},
		"a negative count":     {func(l *Limits) { l.MaxMetaCount = -1 }, "max_meta_count"},
		"no versions":          {func(l *Limits) { l.ValidAPIVersions = nil }, "valid_api_versions"},
		"no prefix":            {func(l *Limits) { l.AutoCreateAccountPrefix = "" }, "auto_create_account_prefix"},
		"negative extra count": {func(l *Limits) { l.ExtraHeaderCount = -2 }, "extra_header_count"},
	} {
		l := Default()
		test.change(&l)
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Validate() = %v, want an error naming %s", name, err, test.want)
		}
	}
}

func TestDefaultIsTheCallersOwn(t *testing.T) {
	l := Default()
	l.ValidAPIVersions[0] = "changed"
	if got := Default().ValidAPIVersions[0]; got != "v1" {
		t.Errorf("after changing one Default(), another has version %q, want v1", got)
	}
}
