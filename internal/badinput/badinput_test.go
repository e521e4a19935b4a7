package badinput

import (
	"errors"
	"flag"
	"testing"
)

var (
	endpoint = flag.String("badinput.endpoint", "", "host:port of a Swift proxy to play the table against")
	user     = flag.String("badinput.user", DefaultCreds().User, "first user")
	key      = flag.String("badinput.key", DefaultCreds().Key, "key of the first user")
	update   = flag.Bool("update", false, "record the answers of -badinput.endpoint, which must be an OpenStack Swift")
)

// minCases is how large the table is at least; it only grows.
const minCases = 200

func TestEndpoint(t *testing.T) {
	if *endpoint == "" {
		t.Skip("no -badinput.endpoint given")
	}
	creds := DefaultCreds()
	creds.User, creds.Key = *user, *key
	if *update {
		Record(t, *endpoint, creds, "cases")
		return
	}
	Run(t, *endpoint, creds)
}

func TestTableIsSound(t *testing.T) {
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[slug(c.Name)] {
			t.Errorf("%s: the name %q occurs twice", c.Category, c.Name)
		}
		seen[slug(c.Name)] = true
		for i, e := range c.Exchanges {
			if len(e.Recorded) == 0 {
				t.Errorf("%s: %q: exchange %d has no recorded answer", c.Category, c.Name, i+1)
			}
		}
	}
	if len(cases) < minCases {
		t.Errorf("%d cases, want %d or more", len(cases), minCases)
	}
}

var _ = errors.New
