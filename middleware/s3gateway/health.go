package s3gateway

import (
	"net/http"
	"strconv"
)

// health tells load balancers whether every route has a store that answers.
func (f *filter) health(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, "{\"status\":\"ok\"}"
	for _, way := range f.ways {
		if !way.group.Healthy() {
			status, text = f.config.UnhealthyStatus, "{\"status\":\"nok\"}"
			break
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write([]byte(text)) // the client may have gone
	}
}
