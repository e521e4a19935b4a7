// Package badinput is a table of malformed and odd client requests, each kept as the raw bytes that go over a TCP
// connection to a Swift proxy, together with what a real OpenStack Swift answered. [Run] plays the table against any
// endpoint and reports every difference, so that what clients (and attackers) see of Apus' edges stays what they know.
//
// # The files
//
// The table is the text files in cases/, one per category. A case reads like a trace:
//
//	case: no object name after a trailing slash
//	why: the slash is no separator without a name behind it
//	> GET /v1/{account}/{container}/ HTTP/1.1
//	> Host: {host}
//	> X-Auth-Token: {token}
//	>
//	< 200 OK
//	< Content-Type: text/plain; charset=utf-8
//	...
//
// Lines with ">" are sent, each followed by CRLF unless it ends in a single backslash. \xNN, \r, \n, \t and \\ are
// escapes. Lines with "<" are what OpenStack Swift answered: status line, headers, an empty line, body. "< [closed]" at
// the end says that the server closed the connection by itself; alone it says that it did so without an answer.
// Several blocks in one case are exchanges on connections of their own, one after the other, which is how a case
// prepares something or looks at what is left behind. Directives stand before the block they belong to:
//
//	ignore: body Etag       in this case these are not compared (header names, or "body")
//	half-close:             after sending, close the writing side: the client has nothing more to say
//	spec: REASON            the lines with "=" below the block replace the recorded answer, because a newer
//	                        Swift than the recorded one answers so
//	apus: REASON            likewise, because Apus answers differently on purpose
//	later: REASON           likewise, until Apus has the filter that gives the recorded answer
//
// An answer of "=" lines compares only what it names: the status, the headers given, the body if there is an empty line,
// and with "= [closed]" that the connection ends. "= 400|408" accepts either status.
//
// Placeholders in sent lines: {host}, {user}, {key}, {token}, {account}, {container}, {fresh} (a name for this case
// alone), {other-token}, {other-account} (another user, no rights on the first account), {policy}, {repeat:TEXT:N},
// {each:TEXT:N} (N copies, "#" in TEXT becomes 0, 1, 2 ...). In recorded lines the same, and {txid}, {date}, {iso},
// {timestamp}, {boundary}, {length} (of the body that came), {n}.
//
// # Fixtures
//
// Run makes {container} with the objects "ten" (0123456789, with metadata Colour: blue) and "empty", {container}-list
// with a few names for listings, and {container}-cors which allows http://one.test; all are removed in the end.
//
// # Rules of comparison
//
// Status codes, all headers (lists such as Allow as sets) and bodies are compared, except: reason phrases; Date, Connection and Keep-Alive, ids of
// transactions; Content-Length of a 204 and Content-Type and Content-Length of a 304 (HTTP forbids or suppresses them,
// OpenStack Swift sends some); per-policy account statistics. After each case a plain request must still be answered,
// and an answer must come within seconds. More answers than wanted are a failure: bytes of a body must never be taken for
// a request.
//
// "< 400 (below the proxy)" is an answer without a transaction id: the HTTP server refused before the proxy saw the
// request. Which status it chooses for that (400, 414, 417, 431, 501, 505), with what body, or whether it only closes the
// connection, is not compared.
//
// # Recording
//
//	go test ./internal/badinput -badinput.endpoint 127.0.0.1:8080 -update
//
// rewrites the "<" lines from a running OpenStack Swift (tempauth with the users of its functional tests). Without
// -update the same endpoint is compared.
//
// Non-goals: load, slow clients, TLS, S3, and requests that only optional middleware understands.
package badinput
