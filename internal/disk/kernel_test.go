package disk

import "testing"

func TestAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"5.8.0": true, "5.7.19-generic": false, "6.1": true, "4.19.0": false, "5.10": true, "6": true, "5": false, "": false, "6.18.44-x": true,
		"10.0": true, "5.8-rc1": true, "x": false,
	} {
		if got := atLeast(release, 5, 8); got != want {
			t.Errorf("atLeast(%q) = %v, want %v", release, got, want)
		}
	}
}
