package cnamelookup

import "testing"

// ServeZone runs a name server that knows testdata/zone.json until the end of the test, and returns its address.
func ServeZone(t testing.TB) string { return serve(t, knows(zone(t))).addr }
