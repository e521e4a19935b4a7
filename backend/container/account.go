package container

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
)

// updateAccount tells the account servers that the request names of the container's times and counts. What fails is
// left to the updater; but if every one of them says that there is no such account, so does the answer.
func (s *Server) updateAccount(c *dbserver.Call, info broker.ContainerInfo) *reply.Error {
	hosts, devices := split(c.Header.Get("X-Account-Host")), split(c.Header.Get("X-Account-Device"))
	partition := c.Header.Get("X-Account-Partition")
	if len(hosts) != len(devices) {
		return reply.Status(http.StatusBadRequest).Because(
			fmt.Errorf("x-account-host names %d hosts, x-account-device %d devices", len(hosts), len(devices)))
	}
	if len(hosts) == 0 || partition == "" {
		return nil
	}
	header := accountHeader(c, info)
	codes := make([]int, len(hosts))
	var wg sync.WaitGroup
	for i := range hosts {
		path := apipath.Quote("/" + devices[i] + "/" + partition + "/" + info.Account + "/" + info.Container)
		wg.Go(func() {
			var err error
			if codes[i], err = s.sendUpdate(c.Context(), hosts[i], path, header); err != nil || codes[i]/100 != 2 && codes[i] != http.StatusNotFound {
				s.deps.Logger.Warn("account update failed", "node", hosts[i], "device", devices[i], "txn", c.Trans, "status", codes[i], "err", err)
			}
		})
	}
	wg.Wait()
	for _, code := range codes {
		if code != http.StatusNotFound {
			return nil
		}
	}
	return reply.Status(http.StatusNotFound)
}

func split(list string) []string {
	var items []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func accountHeader(c *dbserver.Call, info broker.ContainerInfo) http.Header {
	h := http.Header{}
	for name, value := range map[string]string{
		"X-Put-Timestamp":    info.PutTimestamp,
		"X-Delete-Timestamp": info.DeleteTimestamp,
		"X-Object-Count":     strconv.FormatInt(info.ObjectCount, 10),
		"X-Bytes-Used":       strconv.FormatInt(info.BytesUsed, 10),
		"X-Trans-Id":         c.Trans,
		policyHeader:         strconv.Itoa(info.Policy),
		"User-Agent":         "container-server " + strconv.Itoa(os.Getpid()),
		"Referer":            c.Method + " http://" + c.Host + c.URL.RequestURI(),
	} {
		h.Set(name, value)
	}
	if strings.EqualFold(c.Header.Get("X-Account-Override-Deleted"), "yes") {
		h.Set("X-Account-Override-Deleted", "yes")
	}
	return h
}

// sendUpdate sends one update. The client may be gone by now, but the container has changed and its account should hear
// of it, so only the node timeout ends the attempt.
func (s *Server) sendUpdate(ctx context.Context, host, path string, header http.Header) (int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.NodeTimeout.Duration)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+host+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	r.Header = header.Clone()
	resp, err := s.deps.Transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	// Read to the end, so that the connection can be used again; answers are short.
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, err
}
