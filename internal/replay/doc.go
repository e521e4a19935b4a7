// Package replay plays a recorded conversation with OpenStack Swift to a whole Apus in this process, and reports every
// answer that differs: status, headers and body. It is how a filter shows that it answers as Swift's does.
//
// A filter's testdata/record.py says what is asked and records, with this folder's record.py, what a running Swift answers, in
// testdata/swift.json. The test beside it is
//
//	func TestAnswersAreThoseOfSwift(t *testing.T) {
//		replay.Run(t, replay.Conversation{
//			Sections: `
//	[filter.tempurl]
//	allowed_digests = "sha256 sha512"`,
//			Ignore: map[string]string{"X-Account-Quota-Bytes": "is newer than what was recorded"},
//		})
//	}
//
// The proxy is that of etc/functional-test.toml, over one storage node of each kind with the policies gold and silver. No
// daemons run, as none ran where the recordings were made: an account's counts are those that the container server reports
// when a container is made, however long a replay takes. The users, which a row names, are those of Swift's functional
// tests. A test that has another server, such as a storage node, says where it is (Conversation.Addr). Requests go over a
// connection of the loopback interface, one for each row: what is compared is what a client gets.
//
// # Rows
//
// The rows are played in order:
//
//	name, user            what the row shows; who asks ("" is nobody)
//	method, path, header  the request, as it is sent: the path is quoted, and a header Host replaces the server's own
//	body, base64          its body, as text or in base64
//	s3                    whether it is signed for S3, by version 4 with the user's key, instead of having a token
//	chunked               whether it is sent in chunks, without a length
//	status, answer        what is wanted: the status, all headers
//	text, text64          and the body, in base64 if it is not UTF-8
//	cut                   whether the server breaks off before the end of the body; with status 0, before the head
//	capture               what is kept of the answer for later rows, by name
//	apus                  what Apus answers otherwise, on purpose
//
// A capture is "header:ETag", "json:0.hash" (a path into the body) or "text:<Id>(.*?)</Id>" (the first group of a
// pattern). After it, {name} in paths, headers and text bodies stands for the value, and the value in answers is {name},
// those of the row itself included: so ids and tokens of one answer can be used later, and two that should be the same,
// or not, are. A time can be used later too, but stays {date} and the like in answers. {host} is the server's host and
// port, and {fresh} a word of this run, for accounts that nobody has used: one that was deleted cannot be made again. An
// unknown {name} in a request is an error. A value of fewer than six bytes cannot be captured: it would be found where
// it is not meant.
//
// "apus" has a reason, "why", and those of status, answer and text that differ; a header that is null must be absent. It
// is an error if Apus answers as Swift does after all.
//
// # Comparison
//
// In headers and bodies, what varies from run to run is named, in the same way when it is recorded and when it is
// replayed: {txid}, and for times within 30 days of now {date} (RFC 9110), {iso}, {timestamp} (seconds with five digits),
// {epoch} (seconds). Other times are compared as they are. The boundary that Content-Type gives is {boundary}.
//
// Date, Server, Connection, Keep-Alive, Transfer-Encoding, X-Trans-Id and X-Openstack-Request-Id are not compared, but
// those that the recording names as "also", nor is the Content-Length of a 204 or 304 and the Content-Type of a 304
// (HTTP forbids or suppresses them, Swift sends some). A body that Swift sends in chunks may have a length here. Allow
// is compared as a set. A header with several lines is one with commas.
//
// A conversation's Reduce makes bodies comparable that say the same in other words.
//
// Non-goals: malformed requests (package badinput has them), timing, and signatures that depend on the time. What is signed
// for a time in the far future is recorded like anything else.
package replay
