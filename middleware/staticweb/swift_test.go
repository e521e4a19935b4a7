package staticweb_test

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestAnswersAreThoseOfSwift replays, in order, what testdata/record.py recorded of OpenStack Swift. Pages are our own HTML;
// of them is compared what people see and what style sheets are written for.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{
		AtLeast: 40,
		Reduce:  shown,
		Ignore:  map[string]string{"X-Content-Type-Options": "is added to pages"},
	})
}

var (
	pageOfSwift = regexp.MustCompile(`(?is)^<!DOCTYPE html.*<html>`)
	title       = regexp.MustCompile(`<title>(.*?)</title>`)
	heading     = regexp.MustCompile(`<h1[^>]*>(.*?)</h1>`)
	style       = regexp.MustCompile(`<link rel="stylesheet" type="text/css" href="(.*?)" />`)
	row         = regexp.MustCompile(`(?s)<tr ([^>]*)>\s*<td class="colname"><a href="(.*?)">(.*?)</a></td>\s*<td class="colsize">(.*?)</td>\s*<td class="coldate">(.*?)</td>`)
	columns     = regexp.MustCompile(`<th class="(.*?)">(.*?)</th>`)
	date        = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)
)

// shown is what a page shows, in lines; other bodies are left as they are.
func shown(header map[string]string, text string) string {
	if header["Content-Length"] != "0" && header["Content-Type"] == "text/html; charset=UTF-8" && (text == "" || pageOfSwift.MatchString(text)) {
		header["Content-Length"] = "{length}"
	}
	if !pageOfSwift.MatchString(text) {
		return text
	}
	var lines []string
	add := func(parts ...string) {
		for i := range parts {
			parts[i] = html.UnescapeString(parts[i])
		}
		lines = append(lines, strings.Join(parts, " | "))
	}
	for _, find := range []*regexp.Regexp{title, heading, style, columns} {
		for _, m := range find.FindAllStringSubmatch(text, -1) {
			add(m[1:]...)
		}
	}
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		for i := range m {
			if m[i] = strings.ReplaceAll(m[i], "&nbsp;", ""); date.MatchString(m[i]) {
				m[i] = "{date}"
			}
		}
		if m[2] != "" { // Swift has a row without a name for the object that stands for the directory itself
			add(m[1:]...)
		}
	}
	return strings.Join(lines, "\n")
}
