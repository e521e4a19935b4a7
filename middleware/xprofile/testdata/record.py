#!/usr/bin/env python3
"""Record what OpenStack Swift's xprofile answers: record.py URL > swift.json

URL is that of a proxy with xprofile in its pipeline. {id} in a target is the id of a profile that there is.
"""
import http.client
import json
import sys
import urllib.parse

ROWS = [
    ("the page", "GET", "/__profile__", ""),
    ("the page by a form", "POST", "/__profile__", "profile=current&sort=time"),
    ("the page, sorted by calls", "GET", "/__profile__?sort=calls", ""),
    ("the page, sorted by file and limited", "GET", "/__profile__?sort=file&limit=10", ""),
    ("the page, a share of it", "GET", "/__profile__?limit=0.1", ""),
    ("the page with full paths", "GET", "/__profile__?fulldirs=1", ""),
    ("the page of one profile", "GET", "/__profile__?profile={id}", ""),
    ("the page of all profiles", "GET", "/__profile__?profile=all", ""),
    ("the page of no profile", "GET", "/__profile__?profile=none", ""),
    ("an unknown order", "GET", "/__profile__?sort=bogus", ""),
    ("an unknown limit", "POST", "/__profile__", "limit=x"),
    ("the list", "GET", "/__profile__/", ""),
    ("current as JSON", "GET", "/__profile__/current?format=json", ""),
    ("all as JSON", "GET", "/__profile__/all?format=json", ""),
    ("one as JSON", "GET", "/__profile__/{id}?format=json", ""),
    ("one with a slash as JSON", "GET", "/__profile__/{id}/?format=json", ""),
    ("current as CSV", "GET", "/__profile__/current?format=csv", ""),
    ("all as CSV", "GET", "/__profile__/all?format=csv", ""),
    ("a function as JSON", "GET", "/__profile__/current/a.py:1(b)?format=json", ""),
    ("a download by a form", "POST", "/__profile__", "download=download&format=json"),
    ("a download of no profile", "POST", "/__profile__", "download=download&format=json&profile=none"),
    ("no profile", "GET", "/__profile__/none", ""),
    ("no profile as JSON", "GET", "/__profile__/none?format=json", ""),
    ("an unknown format", "GET", "/__profile__/current?format=bogus", ""),
    ("a spreadsheet", "GET", "/__profile__/current?format=ods", ""),
    ("PUT", "PUT", "/__profile__", ""),
    ("DELETE", "DELETE", "/__profile__", ""),
    ("POST to the list", "POST", "/__profile__/", ""),
    ("POST to a profile", "POST", "/__profile__/current", "format=json"),
    ("DELETE of a profile", "DELETE", "/__profile__/{id}", ""),
    ("the icon", "GET", "/favicon.ico", ""),
    ("clear", "POST", "/__profile__", "clear=clear&profile=none"),
]


def ask(base, method, target, body):
    conn = http.client.HTTPConnection(base.netloc, timeout=30)
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    conn.request(method, target, body=body or None, headers=headers)
    r = conn.getresponse()
    return r.status, r.getheader("Content-Type", ""), r.read().decode()


def main():
    base = urllib.parse.urlsplit(sys.argv[1])
    found = json.loads(ask(base, "GET", "/__profile__/", "")[2])["profile_ids"]
    rows = []
    for name, method, target, body in ROWS:
        status, kind, text = ask(base, method, target.replace("{id}", found[0]), body)
        row = {"name": name, "method": method, "target": target, "status": status, "type": kind}
        if body:
            row["body"] = body
        if status >= 400:
            row["text"] = text
        rows.append(row)
    json.dump(rows, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
