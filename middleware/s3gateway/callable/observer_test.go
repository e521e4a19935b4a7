package callable

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnObserverIsToldOfCalls has it told what became of each, and how long it took.
func TestAnObserverIsToldOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		want := func(want ...string) {
			t.Helper()
			if !slices.Equal(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}
			told = nil
		}
		release := make(chan struct{})
		f := Cached(Functions{
			Authorize: func(ctx context.Context, _, _, _, path string) (bool, error) {
				time.Sleep(time.Second)
				switch path {
				case "folder/a":
					HoldsFor(ctx, "folder/")
				case "no":
					return false, nil
				case "unknown":
					return false, ErrUnknown
				case "fails":
					return false, errors.New("failed")
				case "panics":
					panic("at the disco")
				case "hangs":
					<-release
				case "heeds":
					<-ctx.Done()
					return false, ctx.Err()
				}
				return true, nil
			},
		}, CacheConfig{TTL: time.Hour, NegativeTTL: time.Hour, CallTimeout: 5 * time.Second, MaxCalls: 1, Observer: Observer{
			Called: func(function string, o Outcome, took time.Duration) {
				told = append(told, fmt.Sprint(function, " ", o, " ", took))
			},
			Remembered: func(function string) { told = append(told, function+" remembered") },
		}}, nil)
		ask := func(path string) {
			f.Authorize(t.Context(), "token", "bucket", "GET", path)
			synctest.Wait()
		}
		for _, path := range []string{"yes", "yes", "no", "no", "unknown", "fails", "panics", "folder/a", "folder/b"} {
			ask(path)
		}
		want("authorize answered 1s", "authorize remembered", "authorize no 1s", "authorize remembered", "authorize unknown 1s", "authorize failed 1s",
			"authorize failed 1s", "authorize answered 1s", "authorize remembered")
		ask("heeds")
		want("authorize timeout 5s")
		ask("hangs")
		want("authorize timeout 5.05s")
		ask("busy") // the one that hangs has the only place
		want("authorize busy 0s")
		close(release)
		synctest.Wait()
		want() // it has been told of already
		ask("busy")
		want("authorize answered 1s")
	})
}
