package main

import "testing"

func TestWithAwake(t *testing.T) {
	for value, want := range map[string]string{
		"":                           awake,
		"http2client=0":              "http2client=0," + awake,
		"schedtrace=1000":            "",
		"http2client=0,schedtrace=0": "",
		awake:                        "", // or a server would start itself anew for ever
		"myschedtrace=1":             "myschedtrace=1," + awake,
	} {
		got, ok := withAwake(value)
		if ok != (want != "") || ok && got != want {
			t.Errorf("withAwake(%q) = %q, %v; want %q", value, got, ok, want)
		}
	}
}
