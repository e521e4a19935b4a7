"""Records what OpenStack Swift answers to requests about dynamic large objects, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin) and test:tester3, and the filters dlo, slo, copy and symlink.
Containers of AUTH_test whose names begin with dlo- are made and removed.
"""
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, USER, A = 'test:tester', 'test:tester3', '/v1/AUTH_test'
S, M, P = A + '/dlo-segs', A + '/dlo-man', A + '/dlo-private'
H, GET = 'X-Object-Manifest', '?multipart-manifest=get'
CONFLICT = '<html><h1>Conflict</h1><p>There was a conflict when trying to complete your request.</p></html>'
RANGE = '<html><h1>Requested Range Not Satisfiable</h1><p>The Range requested is not available.</p></html>'


def instead(status, text, **answer):
    """What Apus answers where Swift fails."""
    return {'why': 'Swift answers "An error occurred" where it fails', 'status': status, 'text': text, 'answer': dict(
        {'Content-Length': str(len(text)), 'Content-Type': 'text/html; charset=UTF-8'}, **{k.replace('_', '-'): v for k, v in answer.items()})}


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def case(name, method, path, headers=None, body='', user=T, **kw):
    return c.case(name, user, method, path, headers, body, **kw)


def looks(name, path, **kw):
    case('GET: ' + name, 'GET', path, **kw)
    case('HEAD: ' + name, 'HEAD', path, **kw)


for path in (S, M, P):
    c.empty(T, path)
for path in (S, M, P):
    case('a container: ' + path, 'PUT', path)
case('segments can be read', 'POST', S, {'X-Container-Read': USER})
case('manifests too', 'POST', M, {'X-Container-Read': USER})
for name, text in (('a/1', 'aaaaa'), ('a/2', 'bbbbbbb'), ('a/3', 'ccc'), ('b/1', 'one'), ('b/2', ''), ('b/3', 'three'), ('odd %25é/1', 'odd'), ('e', '')):
    case('a segment: ' + name, 'PUT', S + '/' + name.replace(' ', '%20').replace('é', '%C3%A9'), {'Content-Type': 'text/x-segment'}, text)
case('a private segment', 'PUT', P + '/p1', body='private')

# What a manifest may be.
for value in ('dlo-segs', 'dlo-segs/', '/dlo-segs/a', '', '/', '//', 'dlo-segs//a', 'dlo-segs/a?b', 'dlo-segs/a&b', 'dlo-segs?x/a', 'dlo-segs%2Fa', '%2Fdlo-segs/a'):
    case('the manifest %r' % value, 'PUT', M + '/refused', {H: value})
case('a manifest for a container', 'PUT', M, {H: 'dlo-segs'})
case('by POST', 'POST', S + '/e', {H: 'nonsense'})
case('GET: nonsense by POST', 'GET', S + '/e', apus=instead(409, CONFLICT))
case('HEAD: nonsense by POST', 'HEAD', S + '/e', apus=instead(409, '', Content_Length='0'))
case('it is taken away', 'POST', S + '/e')
case('by one who may only read', 'PUT', M + '/refused', {H: 'dlo-segs/a'}, user=USER)
case('a manifest', 'PUT', M + '/m', {H: 'dlo-segs/a/', 'Content-Type': 'text/x-large', 'X-Object-Meta-Color': 'blue', 'ETag': md5('own')}, 'own',
     capture={'m_date': 'header:Last-Modified'})
for name, value in (('none', 'dlo-segs/none'), ('all', 'dlo-segs/b'), ('odd', 'dlo-segs/odd%20%2525%C3%A9'), ('missing', 'dlo-none/a'), ('private', 'dlo-private/p'),
                    ('empty', 'dlo-segs/b/2'), ('one', 'dlo-segs/a/1'), ('spaces', 'dlo-segs/odd %2525é/'), ('self', 'dlo-man/self')):
    case('a manifest: ' + name, 'PUT', M + '/' + name, {H: value})

# What is read.
for name in ('m', 'none', 'all', 'odd', 'missing', 'private', 'empty', 'one', 'spaces', 'self'):
    looks(name, M + '/' + name)
looks('the manifest itself', M + '/m' + GET)
case('a range of the manifest itself', 'GET', M + '/m' + GET, {'Range': 'bytes=1-'})
case('another word for the query', 'GET', M + '/m?multipart-manifest=raw')
case('the word in capitals', 'GET', M + '/m?multipart-manifest=GET')
case('the listing', 'GET', M + '?format=json&prefix=m')

# Parts of it.
for r in ('bytes=0-0', 'bytes=4-5', 'bytes=3-', 'bytes=-4', 'bytes=0-99', 'bytes=15-', 'bytes=14-14', 'bytes=-0', 'bytes=-99', 'bytes=x', 'bytes=5-2', 'items=0-1', 'bytes=12-13',
          'bytes=0-1,13-14', 'bytes=0-1,99-', 'bytes=99-,100-', 'bytes=5-11'):
    case('GET ' + r, 'GET', M + '/m', {'Range': r},
         apus=instead(416, RANGE, Accept_Ranges='bytes', Content_Range='bytes */15') if r == 'bytes=-0' else None)
case('HEAD with a range', 'HEAD', M + '/m', {'Range': 'bytes=0-1'})
case('HEAD with a range beyond', 'HEAD', M + '/m', {'Range': 'bytes=99-'})
case('a range of nothing', 'GET', M + '/none', {'Range': 'bytes=0-1'})
case('a range of an empty segment', 'GET', M + '/empty', {'Range': 'bytes=0-'})
case('a range over an empty segment', 'GET', M + '/all', {'Range': 'bytes=2-4'})

# Conditions.
SUM = md5(md5('aaaaa') + md5('bbbbbbb') + md5('ccc'))
for method in ('GET', 'HEAD'):
    for h, v in (('If-Match', SUM), ('If-Match', '"%s"' % SUM), ('If-Match', '*'), ('If-Match', 'x'), ('If-Match', md5('own')), ('If-None-Match', SUM), ('If-None-Match', '"%s"' % SUM),
                 ('If-None-Match', '*'), ('If-None-Match', 'x'), ('If-None-Match', md5('own')), ('If-Modified-Since', '{m_date}'), ('If-Modified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT'),
                 ('If-Unmodified-Since', '{m_date}'), ('If-Unmodified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT')):
        case('%s %s %s' % (method, h, v), method, M + '/m', {h: v})
case('a range under a condition', 'GET', M + '/m', {'Range': 'bytes=0-1', 'If-Match': SUM})
case('a range under one that fails', 'GET', M + '/m', {'Range': 'bytes=0-1', 'If-Match': 'x'})
case('If-Range of it', 'GET', M + '/m', {'Range': 'bytes=0-1', 'If-Range': '"%s"' % SUM})
case('If-Range of another', 'GET', M + '/m', {'Range': 'bytes=0-1', 'If-Range': '"x"'})
case('a condition on the manifest itself', 'GET', M + '/m' + GET, {'If-Match': md5('own')})

# Who may read.
case('one who may read all', 'GET', M + '/m', user=USER)
case('one who may not list the segments', 'GET', M + '/private', user=USER)
case('one who may not, HEAD', 'HEAD', M + '/private', user=USER)
case('anybody', 'GET', M + '/m', user='')
case('all may read and not list', 'POST', S, {'X-Container-Read': '.r:*'})
case('manifests too, and list', 'POST', M, {'X-Container-Read': '.r:*,.rlistings'})
case('anybody without the right to list', 'GET', M + '/m', user='')

# Copies, links, other manifests.
case('a copy is no manifest', 'COPY', M + '/m', {'Destination': 'dlo-man/copy'})
looks('the copy', M + '/copy')
case('a copy of the manifest', 'COPY', M + '/m' + GET, {'Destination': 'dlo-man/copy'})
looks('the copied manifest', M + '/copy')
case('what it has of its own', 'GET', M + '/copy' + GET)
case('a copy of a part', 'COPY', M + '/m', {'Destination': 'dlo-man/copy', 'Range': 'bytes=4-5'})
case('it is the part', 'GET', M + '/copy')
case('a copy that becomes one', 'COPY', S + '/a/1', {'Destination': 'dlo-man/copy', H: 'dlo-segs/b'})
looks('it is one', M + '/copy')
case('a copy that would be nonsense', 'PUT', M + '/copy', {'X-Copy-From': 'dlo-segs/a/1', H: 'nonsense'})
case('new metadata with the manifest', 'POST', M + '/m', {'X-Object-Meta-Color': 'red', H: 'dlo-segs/b'})
looks('another manifest', M + '/m')
case('new metadata without', 'POST', M + '/m', {'X-Object-Meta-Color': 'red'})
looks('no manifest any more', M + '/m')
case('a link to one', 'PUT', M + '/link', {'X-Symlink-Target': 'dlo-man/one'})
looks('through the link', M + '/link')
case('the manifest through the link', 'GET', M + '/link' + GET)
case('a segment that is a manifest', 'PUT', S + '/n/1', {H: 'dlo-segs/a'}, 'inner')
case('a manifest of it', 'PUT', M + '/nested', {H: 'dlo-segs/n'})
looks('a manifest of a manifest', M + '/nested')
case('a segment that is a link', 'PUT', S + '/n/2', {'X-Symlink-Target': 'dlo-segs/a/2'})
looks('a manifest of a link too', M + '/nested')
case('a range of the link', 'GET', M + '/nested', {'Range': 'bytes=5-'})
case('and back', 'DELETE', S + '/n/2')
case('a segment that is a static link', 'PUT', S + '/n/2', {'X-Symlink-Target': 'dlo-segs/a/2', 'X-Symlink-Target-Etag': md5('bbbbbbb')})
looks('a manifest of a static link too', M + '/nested')
case('both at once', 'PUT', M + '/both?multipart-manifest=put', {H: 'dlo-segs/a'}, json.dumps([{'path': '/dlo-segs/a/2'}]))
case('GET: both at once', 'GET', M + '/both', apus=instead(500, 'Unable to load SLO manifest'))
case('HEAD: both at once', 'HEAD', M + '/both')
case('deleted as a list', 'DELETE', M + '/m?multipart-manifest=delete')
case('deleted as it is', 'DELETE', M + '/one')
case('the segment is there', 'GET', S + '/a/1')
for path in (S, M, P):
    c.empty(T, path)
c.write()
