package tempauth

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
)

// noKey is checked for users that do not exist, so that they take as long as others.
const noKey = "no such user"

// serveS3 finds out who has signed a request for S3. The request that asks for that is answered here; later ones of the
// same client bring the answer along.
func (a *auth) serveS3(w http.ResponseWriter, r *http.Request, state *request.State) {
	s3 := state.S3
	if s3.Account != "" {
		a.next.ServeHTTP(w, r)
		return
	}
	u, known := a.users[s3.AccessKey]
	s3.Known = s3.Known || known
	key := u.key
	if !known {
		key = noKey
	}
	if !s3.Check(key) || !known {
		if !known && a.prefixes[0] == "" {
			// Without a prefix this filter is not alone: the key may be another one's.
			a.next.ServeHTTP(w, r)
			return
		}
		a.stats.Increment("unauthorized")
		reply.Write(w, r, reply.Status(http.StatusForbidden))
		return
	}
	a.accept(state, strings.Join(a.userGroups(s3.AccessKey, u), ","))
	s3.Account = apipath.Unquote(u.accountID())
	a.log.LogAttrs(r.Context(), slog.LevelDebug, "signature accepted",
		slog.String("txn", state.TransID), slog.String("user", s3.AccessKey))
	reply.Write(w, r, reply.Status(http.StatusNoContent))
}
