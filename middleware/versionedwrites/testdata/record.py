"""Records what OpenStack Swift answers to requests about versions, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users of Swift's functional tests, container servers with allow_versions, and the filters
versioned_writes (with both options), symlink, slo, dlo, copy, container-quotas and tempurl. Containers of AUTH_test whose
names begin with vw- are made and removed.
"""
import hashlib
import hmac
import json
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, W, A = 'test:tester', 'test:tester3', '/v1/AUTH_test'
V, N, Z = A + '/vw-v', A + '/vw-never', A + '/vw-z'
STACK, HISTORY, OLD = A + '/vw-stack', A + '/vw-history', A + '/vw-old'
ON, OFF = {'X-Versions-Enabled': 'true'}, {'X-Versions-Enabled': 'false'}
MARK = 'application/x-deleted;swift_versions_deleted=1'
P401 = '<html><h1>Unauthorized</h1><p>This server could not verify that you are authorized to access the document you requested.</p></html>'
P403 = '<html><h1>Forbidden</h1><p>Access was denied to this resource.</p></html>'
HTML = 'text/html; charset=UTF-8'
CHALLENGE = {'Content-Type': HTML, 'Www-Authenticate': 'Swift realm="AUTH_test"', 'Content-Length': str(len(P401))}


def case(name, method, path, headers=None, body='', user=T, **kw):
    return c.case(name, user, method, path, headers, body, **kw)


def put(name, path, headers=None, body='', id=None, **kw):
    """An upload whose version is called id from now on."""
    return case(name, 'PUT', path, headers, body, capture={id: 'header:X-Object-Version-Id'} if id else None, **kw)


def delete(name, path, id, **kw):
    return case(name, 'DELETE', path, capture={id: 'header:X-Object-Version-Id'}, **kw)


def versions(name, query='', path=V, headers=None, **kw):
    return case(name, 'GET', path + '?versions' + query, headers, **kw)


def early(why, status, text, answer):
    return {'why': why, 'status': status, 'text': text, 'answer': answer}


def clean(path):
    if c.send(T, 'HEAD', path).status != 204:
        return
    c.send(T, 'POST', path, OFF)
    for row in json.loads(c.send(T, 'GET', path + '?versions').body):
        c.send(T, 'DELETE', path + '/' + urllib.parse.quote(row['name']) + '?version-id=' + row['version_id'])
    c.empty(T, path)


ALL = (STACK, HISTORY, V, N, Z, OLD, A + '/vw-slo', A + '/vw-both')
for path in ALL:
    clean(path)

# A container with versions.
for path in (V, N):
    case('a container', 'PUT', path, {'X-Container-Read': W, 'X-Container-Write': W})
case('an object that has no version', 'PUT', V + '/o', {'X-Object-Meta-A': '0'}, 'unversioned')
case('nobody may switch versions on', 'POST', V, ON, user='')
case('a writer neither', 'POST', V, ON, user=W)
case('the owner may', 'POST', V, ON)
case('it shows', 'HEAD', V)
case('it shows to readers', 'HEAD', V, user=W)
case('an object without a version', 'HEAD', V + '/o')
case('by its id', 'GET', V + '/o?version-id=null')
case('no object', 'GET', V + '/none')
case('no object, by the id', 'GET', V + '/none?version-id=null')
versions('only null versions')
put('a writer uploads', V + '/o', {'Content-Type': 'text/x; charset=y', 'X-Object-Meta-A': '1'}, 'first', 'v1', user=W)
versions('two versions', capture={'v0': 'json:1.version_id'})
case('the current version', 'GET', V + '/o')
case('to readers', 'GET', V + '/o', user=W)
case('to nobody', 'GET', V + '/o', user='')
case('a part', 'GET', V + '/o', {'Range': 'bytes=1-2'})
case('a condition', 'GET', V + '/o', {'If-None-Match': hashlib.md5(b'first').hexdigest()})
case('another condition', 'GET', V + '/o', {'If-Match': 'x'})
case('the link', 'GET', V + '/o?symlink=get')
case('the version by its id', 'GET', V + '/o?version-id={v1}')
case('HEAD of it', 'HEAD', V + '/o?version-id={v1}')
case('a part of it', 'GET', V + '/o?version-id={v1}', {'Range': 'bytes=-2'})
case('a condition on it', 'GET', V + '/o?version-id={v1}', {'If-None-Match': '*'})
case('the unversioned one, by the id it got', 'GET', V + '/o?version-id={v0}')
case('a version is its owner\'s', 'GET', V + '/o?version-id={v1}', user=W)
case('and nobody else\'s', 'GET', V + '/o?version-id={v1}', user='')
case('another account\'s owner', 'GET', V + '/o?version-id={v1}', user='test2:tester2')
case('there is no null version now', 'GET', V + '/o?version-id=null')
case('HEAD of none', 'HEAD', V + '/o?version-id=null')
case('no such version', 'GET', V + '/o?version-id=1.00000')
case('no version id', 'GET', V + '/o?version-id=first')
case('POST to a version', 'POST', V + '/o?version-id={v1}', {'X-Object-Meta-A': '2'})
case('versions where there never were any', 'GET', N + '/o?version-id=1.00000')
case('a null version there', 'GET', N + '/o?version-id=null')
case('no container', 'GET', A + '/vw-none/o?version-id=1.00000')

# Uploads.
put('an upload in chunks', V + '/o', {'Content-Type': 'text/x'}, 'second one', 'v2', chunked=True)
put('an upload of nothing', V + '/empty', None, '', 'e1')
put('an odd name', V + '/odd/%C3%BC%20%25%3F', {'ETag': hashlib.md5(b'odd').hexdigest()}, 'odd', 'd1')
case('its link', 'GET', V + '/odd/%C3%BC%20%25%3F?symlink=get')
case('where it is', 'HEAD', V + '/odd/%C3%BC%20%25%3F')
case('nobody may upload', 'PUT', V + '/o', None, 'x', user='')
case('a wrong hash', 'PUT', V + '/o', {'ETag': hashlib.md5(b'other').hexdigest()}, 'x')
case('a wrong type', 'PUT', V + '/o', {'Content-Type': MARK}, 'x')
case('metadata over the limit', 'PUT', V + '/o', {'X-Object-Meta-' + 'n' * 129: 'x'}, 'x')
case('a condition that is none', 'PUT', V + '/o', {'If-None-Match': 'x'}, 'x')
for name, header in (('only if there is none', {'If-None-Match': '*'}), ('expired before it is there', {'X-Delete-At': '1000000000'})):
    r = case(name, 'PUT', V + '/o', header, 'x', apus={
        'why': 'the version is not stored, since it would be that of a failed upload', 'answer': {'Etag': None, 'X-Object-Version-Id': None}})
    c.send(T, 'DELETE', V + '/o?version-id=' + r.headers['x-object-version-id'])
put('one that is not there yet', V + '/fresh', {'If-None-Match': '*'}, 'fresh', 'f1')
put('one that expires', V + '/expires', {'X-Delete-At': '4102444800'}, 'later', 'x1')
case('only the link does', 'HEAD', V + '/expires')
case('the link of it', 'HEAD', V + '/expires?symlink=get')
case('the version does not', 'HEAD', V + '/expires?version-id={x1}')
case('new metadata', 'POST', V + '/o', {'X-Object-Meta-B': '2', 'X-Object-Meta-Long': 'long'})
case('it is the version\'s', 'HEAD', V + '/o?version-id={v2}')
case('and shows', 'HEAD', V + '/o', user=W)
case('new metadata of nothing', 'POST', V + '/none', {'X-Object-Meta-B': '2'})
case('new metadata by nobody', 'POST', V + '/o', {'X-Object-Meta-B': '3'}, user='')
case('of the older version nothing has changed', 'HEAD', V + '/o?version-id={v1}')
case('a copy of a version', 'COPY', V + '/o?version-id={v1}', {'Destination': 'vw-never/copied'})
case('it is an object', 'GET', N + '/copied')
put('a copy as a new version', V + '/o', {'X-Copy-From': 'vw-never/copied'}, '', 'v3')
case('the copy of the copy', 'GET', V + '/o')
case('a writer copies a version', 'COPY', V + '/o?version-id={v1}', {'Destination': 'vw-never/copied2'}, user=W)

# Listings.
case('the listing', 'GET', V + '?format=json')
case('as text', 'GET', V)
case('as XML', 'GET', V + '?format=xml')
case('of a reader', 'GET', V + '?format=json', user=W)
versions('all versions')
versions('all versions to a reader', user=W)
versions('all versions to nobody', user='')
versions('as JSON', '&format=json')
versions('as text', '&format=plain')
versions('as XML', '&format=xml')
versions('as a client likes', headers={'Accept': 'text/xml'})
versions('as a client likes, perhaps', headers={'Accept': 'text/xml, application/json;q=0.1'})
versions('an odd Accept', headers={'Accept': 'x'})
versions('the other way round', '&reverse=true')
for query in ('limit=1', 'limit=2', 'limit=0', 'limit=10001', 'limit=x', 'prefix=o', 'prefix=od', 'prefix=none', 'prefix=odd/&reverse=on', 'delimiter=/', 'delimiter=dd', 'delimiter=/&prefix=odd',
              'delimiter=1', 'delimiter=.', 'delimiter=a0', 'marker=e', 'marker=empty', 'marker=o', 'marker=o&limit=1', 'marker=o&reverse=1', 'marker=zzz',
              'marker=o&version_marker={v3}', 'marker=o&version_marker={v1}', 'marker=o&version_marker={v1}&reverse=true', 'marker=o&version_marker={v2}&limit=1',
              'version_marker={v1}', 'marker=o&version_marker=x', 'end_marker=f', 'path=odd'):
    versions('with ' + query, '&' + query)
versions('where there never were any', path=N)
versions('of no container', path=A + '/vw-none')
case('HEAD of versions', 'HEAD', V + '?versions')

# Deletions.
case('nobody may delete', 'DELETE', V + '/o', user='')
delete('a writer deletes', V + '/o', 'm1', user=W)
case('it is gone', 'GET', V + '/o')
case('the mark', 'GET', V + '/o?version-id={m1}')
case('HEAD of the mark', 'HEAD', V + '/o?version-id={m1}')
case('the version before is there', 'GET', V + '/o?version-id={v3}')
delete('again', V + '/o', 'm2')
delete('what there never was', V + '/none', 'm3')
versions('marks', '&prefix=o')
versions('mark of nothing', '&prefix=none')
case('listed is what there is', 'GET', V + '?format=json&prefix=o')
case('a mark is not made current', 'PUT', V + '/o?version-id={m1}')
case('a version is', 'PUT', V + '/o?version-id={v1}')
case('it is back', 'GET', V + '/o')
case('by the writer', 'PUT', V + '/o?version-id={v2}', user=W)
case('nobody may', 'PUT', V + '/o?version-id={v1}', user='', apus={
    'why': 'who may not write is told nothing', 'answer': {'Etag': None, 'X-Object-Version-Id': None}})
case('none that there is not', 'PUT', V + '/o?version-id=1.00000')
case('nobody learns of it', 'PUT', V + '/o?version-id=1.00000', user='', apus=early('who may not write is told nothing', 401, P401, CHALLENGE))
case('not with a body', 'PUT', V + '/o?version-id={v1}', None, 'body')
case('nor with chunks', 'PUT', V + '/o?version-id={v1}', None, 'body', chunked=True)
case('not null', 'PUT', V + '/o?version-id=null', apus=early('it is no version, which is the client\'s mistake', 400, 'Invalid version parameter', {'Content-Type': HTML, 'Content-Length': '25'}))
case('none where there never were any', 'PUT', N + '/o?version-id={v1}')
versions('a version made current', '&prefix=o')
case('an older version is deleted', 'DELETE', V + '/o?version-id={v1}')
case('for good', 'GET', V + '/o?version-id={v1}')
case('not twice', 'DELETE', V + '/o?version-id={v1}')
IDS = {'X-Object-Version-Id': None, 'X-Object-Current-Version-Id': None}
case('not by a writer', 'DELETE', V + '/o?version-id={v3}', user=W, apus={'why': 'who may not delete is told nothing', 'answer': IDS})
case('not by nobody', 'DELETE', V + '/o?version-id={v2}', user='')
case('the current version', 'DELETE', V + '/o?version-id={v2}')
case('no other takes its place', 'GET', V + '/o')
case('a mark', 'DELETE', V + '/o?version-id={m2}')
put('one more', V + '/w', None, 'w', 'w1')
case('the current one by a writer', 'DELETE', V + '/w?version-id={w1}', user=W,
     apus=early('a version is its owner\'s only', 403, P403, dict(IDS, **{'Content-Type': HTML})))
case('by its owner', 'DELETE', V + '/w?version-id={w1}', apus={'why': 'it is still there', 'status': 204, 'text': '', 'answer': {'Content-Length': None}})
case('none', 'DELETE', V + '/none?version-id=null')

# Off, and on again.
case('versions off', 'POST', V, OFF)
case('it shows', 'HEAD', V)
case('an upload without a version', 'PUT', V + '/o', None, 'plain')
r = versions('it is the current one', '&prefix=o')
after = json.dumps([row for row in json.loads(r.body) if row['name'] == 'o'][1:2])
case('the null version', 'GET', V + '/o?version-id=null')
case('others are there', 'GET', V + '/o?version-id={v3}')
case('a page that begins after the null version', 'GET', V + '?versions&marker=o&version_marker=null&prefix=o&limit=1',
     apus={'why': 'the versions that come after a null version are not left out', 'answer': {'Content-Length': str(len(after))}, 'text': c.name(after)})
case('replaced', 'PUT', V + '/o', None, 'plainer')
case('deleted', 'DELETE', V + '/o?version-id=null')
case('and gone', 'GET', V + '/o')
case('without a mark', 'DELETE', V + '/fresh')
versions('the version of it', '&prefix=fresh')
case('once more', 'PUT', V + '/o', None, 'last')
case('versions on', 'PUT', V, ON)
put('what has no version gets one', V + '/o', None, 'v4', 'v4')
versions('its id is its time', '&prefix=o&limit=2', capture={'v3b': 'json:1.version_id'})

# Links, large objects, quotas, signatures.
put('a link has versions, too', V + '/link', {'X-Symlink-Target': 'vw-never/copied', 'Content-Length': '0'}, '', 'l1')
case('it is followed', 'GET', V + '/link')
case('its version', 'GET', V + '/link?version-id={l1}')
case('its version, not followed', 'GET', V + '/link?version-id={l1}&symlink=get')
case('the link to the link', 'GET', V + '/link?symlink=get')
put('a static one', V + '/static', {'X-Symlink-Target': 'vw-never/copied', 'X-Symlink-Target-Etag': hashlib.md5(b'first').hexdigest(), 'Content-Length': '0'}, '', 's1')
case('it is followed', 'HEAD', V + '/static')
case('a link to what has versions', 'PUT', N + '/to', {'X-Symlink-Target': 'vw-v/o', 'Content-Length': '0'})
case('through both', 'GET', N + '/to', capture={'inner': 'header:Content-Location'})
case('a static link to it', 'PUT', N + '/to2', {'X-Symlink-Target': 'vw-v/o', 'X-Symlink-Target-Etag': hashlib.md5(b'v4').hexdigest(), 'Content-Length': '0'})
case('through both', 'GET', N + '/to2')
case('segments', 'PUT', A + '/vw-slo')
for s in ('aaa', 'bbbb'):
    case('a segment', 'PUT', A + '/vw-slo/' + s, None, s)
put('a large object', V + '/large?multipart-manifest=put', {'Content-Type': 'text/large'}, json.dumps([{'path': '/vw-slo/aaa'}, {'path': '/vw-slo/bbbb'}]), 'g1')
case('its manifest', 'HEAD', V + '/large?multipart-manifest=get', capture={'manifest': 'header:ETag'})
case('it is read', 'GET', V + '/large')
put('another in its place', V + '/large', None, 'small', 'g2')
case('the large one by its id', 'GET', V + '/large?version-id={g1}')
case('its listing', 'GET', V + '?format=json&prefix=large')
versions('its versions', '&prefix=large')
case('it is made current', 'PUT', V + '/large?version-id={g1}')
case('it is read', 'GET', V + '/large')
# White space comes before the report if that is late: record again then.
case('it is deleted with its segments', 'DELETE', V + '/large?version-id={g1}&multipart-manifest=delete', {'Accept': 'application/json'})
case('they are gone', 'GET', A + '/vw-slo/aaa')
put('a dynamic one', V + '/dlo', {'X-Object-Manifest': 'vw-never/cop', 'Content-Length': '0'}, '', 'y1')
case('it is read', 'GET', V + '/dlo')
case('a container with a quota', 'PUT', Z, {'X-Versions-Enabled': 'true', 'X-Container-Meta-Quota-Bytes': '6'})
put('up to it', Z + '/o', None, '1234', 'z1')
case('what is known of it is renewed', 'HEAD', Z)
case('and over it', 'PUT', Z + '/o', None, '567')
case('a key', 'POST', Z, {'X-Container-Meta-Temp-URL-Key': 'key'})
for method, path in (('GET', Z + '/o'), ('PUT', Z + '/o')):
    sig = hmac.new(b'key', ('%s\n4102444800\n%s' % (method, path)).encode(), 'sha256').hexdigest()
    case('signed', method, path + '?temp_url_sig=' + sig + '&temp_url_expires=4102444800', None, 'x' if method == 'PUT' else '', user='')
    if method == 'GET':
        case('signed, for a version', method, path + '?version-id={z1}&temp_url_sig=' + sig + '&temp_url_expires=4102444800', user='')

# Containers that cannot be versioned, and their deletion.
case('a policy that there is not', 'PUT', A + '/vw-both', {'X-Versions-Enabled': 'true', 'X-Storage-Policy': 'bronze'})
case('a container that there is not', 'POST', A + '/vw-both', ON)
case('it is not there either', 'HEAD', A + '/vw-both')
case('a name that is too long with more before it', 'PUT', A + '/' + 'n' * 250, ON)
case('a container that is synchronised', 'PUT', A + '/vw-both', {'X-Container-Sync-To': 'http://127.0.0.1/v1/AUTH_test/x', 'X-Container-Sync-Key': 'k'})
case('has no versions', 'POST', A + '/vw-both', ON)
case('it goes', 'DELETE', A + '/vw-both')
case('a container of the older kind', 'PUT', A + '/vw-both', {'X-Versions-Location': 'vw-old'})
case('has no versions', 'POST', A + '/vw-both', ON)
case('it goes', 'DELETE', A + '/vw-both')
case('with a policy', 'PUT', A + '/vw-both', {'X-Versions-Enabled': 'yes', 'X-Storage-Policy': 'silver'})
put('an object in it', A + '/vw-both/o', None, 'silver', 'b1')
case('containers are listed with their versions', 'GET', A + '?prefix=vw-b')
case('with all bytes', 'HEAD', A + '/vw-both')
case('not deleted with versions', 'DELETE', A + '/vw-both')
case('not by nobody', 'DELETE', A + '/vw-both', user='', apus=early('who may not delete is told nothing', 401, P401, CHALLENGE))
case('the version', 'DELETE', A + '/vw-both/o?version-id={b1}')
case('deleted without', 'DELETE', A + '/vw-both')
case('it is gone', 'HEAD', A + '/vw-both')

# The older way: a stack.
case('an archive', 'PUT', OLD)
case('not two ways', 'PUT', STACK, {'X-Versions-Location': 'vw-old', 'X-History-Location': 'vw-old'})
case('a name with a slash', 'PUT', STACK, {'X-Versions-Location': 'vw/old'})
case('a stack', 'PUT', STACK, {'X-Versions-Location': 'vw-old', 'X-Container-Write': W})
case('it shows', 'HEAD', STACK)
for i in '12':
    case('an upload', 'PUT', STACK + '/o', {'X-Object-Meta-N': i, 'Content-Type': 'text/' + i}, i * int(i))
case('a third, by a writer', 'PUT', STACK + '/o', None, '333', user=W)
case('nobody may', 'PUT', STACK + '/o', None, 'x', user='')
r = case('they are kept', 'GET', OLD + '?format=json', capture={'k1': 'json:0.name', 'k2': 'json:1.name'})
case('the first', 'GET', OLD + '/{k1}')
case('new metadata is no version', 'POST', STACK + '/o', {'X-Object-Meta-N': '4'})
case('nothing more is kept', 'GET', OLD)
case('nobody may delete', 'DELETE', STACK + '/o', user='')
case('a deletion', 'DELETE', STACK + '/o', user=W)
case('brings the one before', 'GET', STACK + '/o')
case('which is kept no more', 'GET', OLD)
case('another deletion', 'DELETE', STACK + '/o')
case('brings the first', 'HEAD', STACK + '/o')
case('the last deletion', 'DELETE', STACK + '/o')
case('leaves nothing', 'GET', STACK + '/o')
case('nothing to delete', 'DELETE', STACK + '/o')
case('no archive', 'POST', STACK, {'X-Versions-Location': 'vw-none'})
case('the first upload needs none', 'PUT', STACK + '/p', None, 'x')
case('the second does', 'PUT', STACK + '/p', None, 'xx')
case('the first is there', 'GET', STACK + '/p')
case('nothing is brought back', 'DELETE', STACK + '/p')
case('no more', 'POST', STACK, {'X-Remove-Versions-Location': 'x'})
case('nothing shows', 'HEAD', STACK)
case('a quoted name', 'POST', STACK, {'X-Versions-Location': 'vw%2Dold'})
case('it shows as it was given', 'HEAD', STACK)
case('an empty one', 'POST', STACK, {'X-Versions-Location': ''})
case('removes', 'HEAD', STACK)
case('setting beats removing', 'POST', STACK, {'X-History-Location': 'vw-old', 'X-Remove-Versions-Location': 'x'})
case('it is a history', 'HEAD', STACK)
case('an empty one beside it', 'POST', STACK, {'X-History-Location': '', 'X-Versions-Location': 'vw-old'})
case('does not count', 'HEAD', STACK)

# The older way: a history.
case('a history', 'PUT', HISTORY, {'X-History-Location': 'vw-old'})
case('it shows', 'HEAD', HISTORY)
case('one', 'PUT', HISTORY + '/h%C3%BC', None, 'one')
case('two', 'PUT', HISTORY + '/h%C3%BC', None, 'two!')
case('a deletion', 'DELETE', HISTORY + '/h%C3%BC')
case('it is gone', 'GET', HISTORY + '/h%C3%BC')
case('all is kept', 'GET', OLD + '?format=json')
case('another deletion', 'DELETE', HISTORY + '/h%C3%BC')
case('is kept, too', 'GET', OLD + '?format=json')
case('now it is a stack', 'POST', HISTORY, {'X-Versions-Location': 'vw-old'})
case('a deletion of a mark', 'DELETE', HISTORY + '/h%C3%BC')
case('leaves nothing', 'GET', HISTORY + '/h%C3%BC')
case('another', 'DELETE', HISTORY + '/h%C3%BC')
case('brings it back', 'GET', HISTORY + '/h%C3%BC')
case('with what is older', 'GET', OLD + '?format=json')
case('a link', 'PUT', HISTORY + '/link', {'X-Symlink-Target': 'vw-never/copied', 'Content-Length': '0'})
case('is kept as one', 'PUT', HISTORY + '/link', None, 'object')
case('and so listed', 'GET', OLD + '?format=json&prefix=004')
case('and brought back', 'DELETE', HISTORY + '/link')
case('as one', 'GET', HISTORY + '/link?symlink=get')
case('versions of the older kind are null', 'GET', HISTORY + '?versions&prefix=link')

for path in ALL:
    clean(path)
c.write()
