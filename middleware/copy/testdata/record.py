"""Records what OpenStack Swift answers to requests for copies, and what is stored then, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have the tempauth users test:tester (.admin), test:tester3 and test2:tester2 (.admin), and the filter copy.
The containers copysrc, copydst and copyprivate of AUTH_test and copyother of AUTH_test2 are made and removed.
"""
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
BODY = 'The quick brown fox.'
META = {'Content-Type': 'text/x-source', 'X-Object-Meta-Color': 'blue', 'X-Object-Meta-Shape': 'round',
        'Content-Encoding': 'identity', 'Content-Disposition': 'inline', 'X-Delete-At': '1999999999'}
ETAG = hashlib.md5(BODY.encode()).hexdigest()
OWN, OTHER = 'test:tester', 'test2:tester2'
CONTAINERS = ((OWN, '/v1/AUTH_test/copysrc'), (OWN, '/v1/AUTH_test/copydst'), (OWN, '/v1/AUTH_test/copyprivate'), (OTHER, '/v1/AUTH_test2/copyother'))


def case(name, method, path, user=OWN, headers=None, body='', dest=None, **kw):
    """A copy, and with dest what is there then, which is removed again."""
    c.case(name, user, method, path, headers, body, **kw)
    if dest:
        owner = OTHER if dest.startswith('/v1/AUTH_test2') else OWN
        c.case(name + ': what is stored', owner, 'GET', dest)
        c.case(name + ': removed', owner, 'DELETE', dest)


for user, path in CONTAINERS:
    c.empty(user, path)
for (user, path), lists in zip(CONTAINERS, (
        {'X-Container-Read': 'test:tester3,test2'}, {'X-Container-Write': 'test:tester3,test2'}, {},
        {'X-Container-Read': 'test:tester', 'X-Container-Write': 'test:tester'})):
    c.case('a container: ' + path, user, 'PUT', path, lists)
for user, path in ((OWN, '/v1/AUTH_test/copysrc/o'), (OWN, '/v1/AUTH_test/copysrc/dir/a%20%25b%3Fc'),
                   (OWN, '/v1/AUTH_test/copyprivate/o'), (OTHER, '/v1/AUTH_test2/copyother/o')):
    c.case('a source: ' + path, user, 'PUT', path, META, BODY)
c.case('an empty source', OWN, 'PUT', '/v1/AUTH_test/copysrc/empty', {'Content-Type': 'text/x-empty'})

S, D = '/v1/AUTH_test/copysrc/o', '/v1/AUTH_test/copydst/d'
TO = {'Destination': 'copydst/d'}
FROM = {'X-Copy-From': 'copysrc/o'}
case('COPY', 'COPY', S, headers=TO, dest=D)
case('PUT', 'PUT', D, headers=FROM, dest=D)
case('leading slash', 'PUT', D, headers={'X-Copy-From': '/copysrc/o'}, dest=D)
case('quoted source', 'PUT', D, headers={'X-Copy-From': 'copysrc/dir/a%20%25b%3Fc'}, dest=D)
case('quoted destination', 'COPY', S, headers={'Destination': '/copydst/x%20%2Fy'}, dest='/v1/AUTH_test/copydst/x%20/y')
case('quoted source in the path', 'COPY', '/v1/AUTH_test/copysrc/dir/a%20%25b%3Fc', headers=TO, dest=D)
case('empty object', 'COPY', '/v1/AUTH_test/copysrc/empty', headers=TO, dest=D)
case('metadata of the client wins', 'COPY', S, headers=dict(TO, **{'X-Object-Meta-Color': 'red', 'X-Object-Meta-New': 'n', 'Content-Type': 'text/x-mine', 'Content-Disposition': 'attachment'}), dest=D)
case('fresh metadata', 'COPY', S, headers=dict(TO, **{'X-Fresh-Metadata': 'true', 'X-Object-Meta-New': 'n'}), dest=D)
case('fresh metadata with a type', 'PUT', D, headers=dict(FROM, **{'X-Fresh-Metadata': 'yes', 'Content-Type': 'text/x-mine'}), dest=D)
case('fresh metadata that is not', 'COPY', S, headers=dict(TO, **{'X-Fresh-Metadata': 'perhaps'}), dest=D)
case('range', 'COPY', S, headers=dict(TO, Range='bytes=4-8'), dest=D)
case('suffix range', 'PUT', D, headers=dict(FROM, Range='bytes=-4'), dest=D)
case('whole range', 'COPY', S, headers=dict(TO, Range='bytes=0-'), dest=D)
case('unsatisfiable range', 'COPY', S, headers=dict(TO, Range='bytes=99-'), dest=D)
case('nonsense range', 'COPY', S, headers=dict(TO, Range='bytes=x'), dest=D)
case('If-Match', 'COPY', S, headers=dict(TO, **{'If-Match': ETAG}), dest=D)
case('If-Match of another', 'COPY', S, headers=dict(TO, **{'If-Match': 'abc'}), dest=D)
case('If-None-Match', 'COPY', S, headers=dict(TO, **{'If-None-Match': ETAG}), dest=D)
case('If-None-Match of another', 'COPY', S, headers=dict(TO, **{'If-None-Match': 'abc'}), dest=D)
case('If-None-Match star', 'COPY', S, headers=dict(TO, **{'If-None-Match': '*'}), dest=D)
case('If-Modified-Since', 'COPY', S, headers=dict(TO, **{'If-Modified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT'}), dest=D)
case('If-Unmodified-Since', 'COPY', S, headers=dict(TO, **{'If-Unmodified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT'}), dest=D)
case('ETag of the client is ignored', 'COPY', S, headers=dict(TO, Etag='d41d8cd98f00b204e9800998ecf8427e'), dest=D)
case('wrong ETag for a part', 'COPY', S, headers=dict(TO, Etag='d41d8cd98f00b204e9800998ecf8427e', Range='bytes=0-3'), dest=D)
case('right ETag for a part', 'COPY', S, headers=dict(TO, Etag=hashlib.md5(b'The ').hexdigest(), Range='bytes=0-3'), dest=D)
case('manifest of a plain object', 'COPY', S + '?multipart-manifest=get', headers=TO, dest=D)
case('no destination', 'COPY', S)
case('empty destination', 'COPY', S, headers={'Destination': ''})
case('destination without object', 'COPY', S, headers={'Destination': 'copydst'})
case('destination without object, slash', 'COPY', S, headers={'Destination': '/copydst/'})
case('destination of slashes', 'COPY', S, headers={'Destination': '//x'})
case('source without object', 'PUT', D, headers={'X-Copy-From': 'copysrc'}, dest=D)
case('quoted slash only', 'PUT', D, headers={'X-Copy-From': '%2Fcopysrc'}, dest=D)
case('body of a PUT', 'PUT', D, headers=FROM, body='body', dest=D)
case('body of a COPY', 'COPY', S, headers=TO, body='body', dest=D)
case('no source object', 'COPY', '/v1/AUTH_test/copysrc/none', headers=TO, dest=D)
case('no source container', 'PUT', D, headers={'X-Copy-From': 'copynone/o'}, dest=D)
case('no destination container', 'COPY', S, headers={'Destination': 'copynone/o'})
case('empty account', 'COPY', S, headers=dict(TO, **{'Destination-Account': ''}))
case('account with slash', 'COPY', S, headers=dict(TO, **{'Destination-Account': 'a%2Fb'}))
case('source account with slash', 'PUT', D, headers=dict(FROM, **{'X-Copy-From-Account': 'a/b'}), dest=D)
case('empty source account', 'PUT', D, headers=dict(FROM, **{'X-Copy-From-Account': ''}), dest=D)
case('bad account before bad source', 'PUT', D, headers={'X-Copy-From': 'x', 'X-Copy-From-Account': 'a/b'}, dest=D)
case('bad account before bad destination', 'COPY', S, headers={'Destination': 'x', 'Destination-Account': 'a/b'})
O = '/v1/AUTH_test2/copyother/o'
case('from another account', 'PUT', D, headers={'X-Copy-From': 'copyother/o', 'X-Copy-From-Account': 'AUTH_test2'}, dest=D)
case('to another account', 'COPY', S, headers={'Destination': 'copyother/d', 'Destination-Account': 'AUTH_test2'}, dest='/v1/AUTH_test2/copyother/d')
case('COPY with a source account', 'COPY', '/v1/AUTH_test/copyother/o', headers=dict(TO, **{'X-Copy-From-Account': 'AUTH_test2'}), dest=D)
case('from another account, as its owner', 'COPY', O, user='test2:tester2', headers=dict(TO, **{'Destination-Account': 'AUTH_test'}), dest=D)
case('allowed by both lists', 'COPY', S, user='test:tester3', headers=TO, dest=D)
case('source not allowed', 'PUT', D, user='test:tester3', headers={'X-Copy-From': 'copyprivate/o'}, dest=D)
case('destination not allowed', 'COPY', S, user='test:tester3', headers={'Destination': 'copyprivate/d'}, dest='/v1/AUTH_test/copyprivate/d')
case('other account not allowed', 'PUT', D, user='test:tester3', headers={'X-Copy-From': 'copyother/o', 'X-Copy-From-Account': 'AUTH_test2'}, dest=D)
case('anonymous', 'COPY', S, user='', headers=TO, dest=D)
case('anonymous PUT from another account', 'PUT', D, user='', headers={'X-Copy-From': 'copyother/o', 'X-Copy-From-Account': 'AUTH_test2'}, dest=D)
case('OPTIONS', 'OPTIONS', S)
case('COPY of a container', 'COPY', '/v1/AUTH_test/copysrc', headers=TO)


# Heartbeats are newer than Swift 2.30, but for these.
BEAT = '?heartbeat=on'
case('a heartbeat of what is missing', 'COPY', S + '-none' + BEAT, headers=TO, dest=D)
case('a heartbeat that is off', 'PUT', D + '?heartbeat=off', headers=FROM, dest=D)
case('a heartbeat that nobody may have', 'COPY', S + BEAT, user='', headers=TO, dest=D)
case('a heartbeat without a destination', 'COPY', S + BEAT)
case('a heartbeat under a condition that fails', 'COPY', S + BEAT, headers=dict(TO, **{'If-Match': 'x'}), dest=D)

# To the same place, times, and large objects.
UTF8 = {'why': 'Swift answers "An error occurred" where it fails', 'status': 412, 'text': 'Invalid UTF8 or contains NULL',
        'answer': {'Content-Length': '29', 'Content-Type': 'text/html; charset=UTF-8'}}
SEG = '/v1/AUTH_test/copysrc/seg'
case('to itself', 'COPY', S, headers={'Destination': 'copysrc/o', 'X-Object-Meta-Own': 'x'})
case('PUT from itself', 'PUT', S, headers={'X-Copy-From': 'copysrc/o', 'Content-Type': 'text/x-source'})
case('deleted after a time', 'COPY', S, headers=dict(TO, **{'X-Delete-After': '1000'}), dest=D)
case('deleted in the past', 'COPY', S, headers=dict(TO, **{'X-Delete-At': '1'}), dest=D)
case('deleted at a time that is none', 'COPY', S, headers=dict(TO, **{'X-Delete-At': 'x'}), dest=D)
case('an empty header of the client', 'COPY', S, headers=dict(TO, **{'X-Object-Meta-Color': '', 'Content-Disposition': ''}), dest=D)
case('a header to be removed', 'COPY', S, headers=dict(TO, **{'X-Remove-Object-Meta-Color': 'x'}), dest=D)
case('a source under a long name', 'PUT', D, headers={'X-Copy-From': 'copysrc/' + 'n' * 1025}, dest=D)
case('a destination under a long name', 'COPY', S, headers={'Destination': 'copydst/' + 'n' * 1025})
case('a source in bad UTF-8', 'PUT', D, headers={'X-Copy-From': 'copysrc/%FF'}, dest=D, apus=UTF8)
case('a destination in bad UTF-8', 'COPY', S, headers={'Destination': 'copydst/%FF'}, apus=UTF8)
case('with a query', 'COPY', S + '?x=y', headers=TO, dest=D)
case('another type of copy', 'PUT', D, headers=dict(FROM, **{'X-Copy-From-Account': 'AUTH_test', 'Destination': 'x'}), dest=D)
case('If-None-Match in a PUT that makes', 'PUT', D, headers=dict(FROM, **{'If-None-Match': '*'}), dest=D)
case('a segment', 'PUT', SEG, body='segment')
case('a list', 'PUT', '/v1/AUTH_test/copysrc/slo?multipart-manifest=put', headers={'Content-Type': 'text/x-large', 'X-Object-Meta-L': 'l'}, body='[{"path": "/copysrc/seg"}, {"path": "/copysrc/o"}]')
case('its own ETag', 'HEAD', '/v1/AUTH_test/copysrc/slo?multipart-manifest=get', capture={'manifest': 'header:ETag'})
case('a prefix', 'PUT', '/v1/AUTH_test/copysrc/dlo', headers={'X-Object-Manifest': 'copysrc/se'}, body='own')
case('a link', 'PUT', '/v1/AUTH_test/copysrc/link', headers={'X-Symlink-Target': 'copysrc/seg'})
for name in ('slo', 'dlo', 'link'):
    for query in ('', '?multipart-manifest=get', '?symlink=get', '?multipart-manifest=get&symlink=get'):
        what = '%s%s' % (name, query)
        case('COPY ' + what, 'COPY', '/v1/AUTH_test/copysrc/' + name + query, headers=TO, dest=D)
        case('PUT ' + what, 'PUT', D + query, headers={'X-Copy-From': 'copysrc/' + name}, dest=D)
    case('a part of ' + name, 'COPY', '/v1/AUTH_test/copysrc/' + name, headers=dict(TO, Range='bytes=1-3'), dest=D)
    case('fresh metadata of ' + name, 'COPY', '/v1/AUTH_test/copysrc/' + name, headers=dict(TO, **{'X-Fresh-Metadata': 'true'}), dest=D)
    case('to another account: ' + name, 'COPY', '/v1/AUTH_test/copysrc/' + name, headers={'Destination': 'copyother/d', 'Destination-Account': 'AUTH_test2'}, dest='/v1/AUTH_test2/copyother/d')
for user, path in CONTAINERS:
    c.empty(user, path)
c.write()
