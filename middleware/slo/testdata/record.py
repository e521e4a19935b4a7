"""Records what OpenStack Swift answers to requests about static large objects, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin) and test:tester3, and the filters slo (with allow_async_delete),
copy and symlink. Containers of AUTH_test whose names begin with slo- are made and removed.
"""
import base64
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, USER, A = 'test:tester', 'test:tester3', '/v1/AUTH_test'
S, M, P = A + '/slo-segs', A + '/slo-man', A + '/slo-private'
JSON, XML = {'Accept': 'application/json'}, {'Accept': 'application/xml'}
PUT, GET, RAW, DEL = '?multipart-manifest=put', '?multipart-manifest=get', '?multipart-manifest=get&format=raw', '?multipart-manifest=delete'
FORBIDDEN = '<html><h1>Forbidden</h1><p>Access was denied to this resource.</p></html>'
PAGE = '<html><h1>Unauthorized</h1><p>This server could not verify that you are authorized to access the document you requested.</p></html>'
EARLY = {'why': 'permission to write is asked for before a manifest is read', 'status': 401, 'text': PAGE,
         'answer': {'Content-Type': 'text/html; charset=UTF-8', 'Www-Authenticate': 'Swift realm="AUTH_test"'}}


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def case(name, method, path, headers=None, body='', user=T, **kw):
    return c.case(name, user, method, path, headers, body, **kw)


def seg(name, **kw):
    return dict({'path': '/slo-segs/' + name}, **kw)


def cut(to, first, rest):
    """What Apus sends of the manifest with this name, of segments with these contents, if the second cannot be read."""
    return {'why': 'the first segment is sent before the second is asked for, and then the connection is cut; Swift answers with a traceback',
            'status': 200, 'cut': True, 'text': first, 'answer': {
                'Accept-Ranges': 'bytes', 'Content-Length': str(len(first + rest)), 'Content-Type': 'application/octet-stream',
                'Etag': '"%s"' % md5(md5(first) + md5(rest)), 'Last-Modified': '{date}', 'X-Manifest-Etag': '{man_%s}' % to,
                'X-Static-Large-Object': 'True', 'X-Timestamp': '{timestamp}'}}


def put(name, to, segments, headers=None, more='', user=T, **kw):
    body = segments if isinstance(segments, (str, bytes)) else json.dumps(segments)
    r = case(name, 'PUT', M + '/' + to + PUT + more, headers, body, user, **kw)
    if r.status == 201:
        # The ETag of what is stored: there are times in it.
        case('its own ETag', 'HEAD', M + '/' + to + GET, capture={'man_' + to.split('.')[0]: 'header:ETag'})
    return r


for path in (S, M, P):
    c.empty(T, path)
for path in (S, M, P):
    case('a container: ' + path, 'PUT', path)
case('segments can be read', 'POST', S, {'X-Container-Read': USER})
case('manifests too', 'POST', M, {'X-Container-Read': USER})
for name, text in (('a', 'aaaaa'), ('b', 'bbbbbbb'), ('c', 'ccc'), ('empty', ''), ('odd %25', 'odd'), ('gone', 'gone'), ('changes', 'before'), ('long', '0123456789' * 2000)):
    case('a segment: ' + name, 'PUT', S + '/' + name.replace(' ', '%20'), {'Content-Type': 'text/x-' + name[:1]}, text)
case('a private segment', 'PUT', P + '/p', body='private')

# What is refused before the segments are looked at.
for name, body in (
        ('no JSON', '['), ('nothing', ''), ('not UTF-8', b'["\xff"]'), ('an object', '{"path": "/slo-segs/a"}'), ('a number', '1'), ('null', 'null'),
        ('no segments', '[]'), ('a list of strings', '["/slo-segs/a"]'), ('a list of lists', '[["path", "/slo-segs/a"]]'),
        ('a key too many', [seg('a', size=5)]), ('keys too many', [seg('a', z=1, b=2), {'path': '/slo-segs/b', 'x"y': 0}]),
        ('a number for a path', [{'path': 1}]), ('null for a path', [{'path': None}]), ('a path of one part', [{'path': 'slo-segs'}]),
        ('a path that ends in a slash', [{'path': '/slo-segs/'}]), ('an empty path', [{'path': ''}]), ('a path of slashes', [{'path': '///'}]),
        ('a path with two slashes first', [{'path': '//slo-segs/a'}]), ('a number for an ETag', [seg('a', etag=1)]),
        ('a text for a size', [seg('a', size_bytes='many')]), ('a fraction for a size', [seg('a', size_bytes=5.5)]), ('a list for a size', [seg('a', size_bytes=[])]),
        ('a true size', [seg('a', size_bytes=True)]), ('a size of nothing', [seg('a', size_bytes=0)]), ('a size below nothing', [seg('a', size_bytes=-1)]),
        ('a range of words', [seg('a', range='words')]), ('a range of another unit', [seg('a', range='bytes=0-1')]), ('two ranges', [seg('a', range='0-1,3-4')]),
        ('a number for a range', [seg('a', range=1)]), ('a range that turns back', [seg('a', range='4-1')]), ('a range beyond the size', [seg('a', size_bytes=5, range='7-9')]),
        ('a suffix of nothing', [seg('a', size_bytes=5, range='-0')]), ('an empty range', [seg('a', range='')]),
        ('data that is not base64', [seg('a'), {'data': 'a b'}]), ('a number for data', [seg('a'), {'data': 1}]), ('empty data', [seg('a'), {'data': ''}]),
        ('data alone', [{'data': 'YQ=='}]), ('data and a path', [{'data': 'YQ==', 'path': '/slo-segs/a'}]), ('data and a size', [seg('a'), {'data': 'YQ==', 'size_bytes': 1}]),
        ('itself', [{'path': '/slo-man/refused'}]), ('many faults at once', [{'path': 'x', 'size_bytes': 'y', 'etag': 2, 'range': 'z'}, {'data': '!'}, seg('a', more=0)])):
    put('refused: ' + name, 'refused', body)
put('a body without a length', 'chunked', [seg('a')], chunked=True)
case('a manifest for a container', 'PUT', M + PUT, body='[]')
case('the header by hand', 'PUT', M + '/hand', {'X-Static-Large-Object': 'True'}, '[]')
case('the header by hand, in a POST', 'POST', S + '/a', {'X-Static-Large-Object': 'True'})
case('an unknown word for the query', 'PUT', M + '/word?multipart-manifest=puts', body='[]')
put('a manifest that is copied', 'copied', '', {'X-Copy-From': 'slo-segs/a'})
put('anybody', 'anybody', [seg('a')], user='', apus=EARLY)
put('one who may only read', 'anybody', [seg('a')], user=USER)
case('a container that is missing', 'PUT', A + '/slo-none/m' + PUT, body=json.dumps([seg('a')]))
put('an ETag that is wrong', 'etag', [seg('a')], {'ETag': md5('x')})
put('an ETag that is right', 'etag', [seg('a'), seg('b')], {'ETag': md5(md5('aaaaa') + md5('bbbbbbb'))})
put('an ETag in quotes', 'etag', [seg('a'), seg('b')], {'ETag': '"%s"' % md5(md5('aaaaa') + md5('bbbbbbb'))})
put('If-None-Match of what is there', 'etag', [seg('a')], {'If-None-Match': '*'})

# What the segments are against.
BAD = [seg('a', size_bytes=6), seg('a', etag='x'), seg('a', range='9-'), seg('a', size_bytes=1, etag='y')]
for name, headers in (('as text', {}), ('as JSON', JSON), ('as XML', XML), ('as text/xml', {'Accept': 'text/xml'}), ('as an image', {'Accept': 'image/png'}), ('as nonsense', {'Accept': '&'})):
    put('wrong segments ' + name, 'wrong', BAD, headers)
for name, segment in (('missing', seg('none')), ('empty', seg('empty')), ('in a missing container', {'path': '/slo-none/o'}), ('empty and followed', seg('empty', range='0-'))):
    put('a segment that is ' + name, 'wrong', [segment, segment])
put('a segment that may not be seen', 'wrong', [{'path': '/slo-private/p'}])
put('one wrong segment', 'wrong', [seg('a'), seg('none')])
put('a last segment that is empty', 'wrong', [seg('a'), seg('empty')])
put('an odd name in a report', 'wrong', [seg('<&"é>')], XML)
put('an odd name in JSON', 'wrong', [seg('<&"é>')], JSON)

# What is stored, and read.
put('a manifest', 'm', [seg('a', etag=md5('aaaaa'), size_bytes=5), seg('b'), seg('c', etag=None, size_bytes=None)],
    {'Content-Type': 'text/x-large', 'X-Object-Meta-Color': 'blue'}, capture={'m_date': 'header:Last-Modified'})
put('a type that is guessed', 'guess.html', [seg('a')])
put('ranges', 'ranges', [seg('b', range='1-3'), seg('b', range='-2'), seg('a', range='2-', size_bytes=5), seg('a', range='0-99')])
put('data', 'data', [{'data': base64.b64encode(b'<<').decode()}, seg('a'), {'data': base64.b64encode(b'>>\xff').decode()}])
put('odd names', 'odd', [seg('odd %25'), {'path': 'slo-segs/a'}])
put('a manifest in a manifest', 'nested', [seg('c'), {'path': '/slo-man/m'}, {'path': '/slo-man/m', 'range': '3-8'}])
put('a private segment', 'private', [seg('a'), {'path': '/slo-private/p'}])
put('a private segment first', 'private1', [{'path': '/slo-private/p'}, seg('a')])
for to in ('m', 'guess.html', 'ranges', 'data', 'nested', 'odd'):
    case('GET ' + to, 'GET', M + '/' + to)
    case('HEAD ' + to, 'HEAD', M + '/' + to)
    case('its list: ' + to, 'GET', M + '/' + to + GET)
    case('the head of its list: ' + to, 'HEAD', M + '/' + to + GET)
    case('its raw list: ' + to, 'GET', M + '/' + to + RAW)
case('the head of the raw list', 'HEAD', M + '/m' + RAW, apus={
    'why': 'it is the head of the whole raw form; Swift 2.30 cannot tell it', 'status': 200,
    'answer': {'Accept-Ranges': 'bytes', 'Content-Length': '258', 'Content-Type': 'text/x-large', 'Etag': '9ad8855a0a6b6fc9bcde0b2b6eda67d0',
               'Last-Modified': '{date}', 'X-Object-Meta-Color': 'blue', 'X-Static-Large-Object': 'True', 'X-Timestamp': '{timestamp}'}})
case('a range of the list', 'GET', M + '/m' + GET, {'Range': 'bytes=0-9'})
case('the list, not modified', 'GET', M + '/m' + GET, {'If-None-Match': '*'})
case('a word for the query', 'GET', M + '/m?multipart-manifest=raw')
case('another word for the format', 'GET', M + '/m' + GET + '&format=xml')
case('a list of what is none', 'GET', S + '/a' + GET)
case('a raw list of what is none', 'GET', S + '/a' + RAW)
case('the list of what is missing', 'GET', M + '/none' + GET)
case('the listing as JSON', 'GET', M + '?format=json')
case('the listing as text', 'GET', M)
case('the listing as XML', 'GET', M + '?format=xml&limit=3')
case('the container counts manifests', 'HEAD', M)

# Parts of it.
for r in ('bytes=0-0', 'bytes=4-5', 'bytes=3-', 'bytes=-4', 'bytes=0-99', 'bytes=15-', 'bytes=14-14', 'bytes=-0', 'bytes=-99', 'bytes=x', 'bytes=5-2', 'items=0-1', 'bytes=12-13',
          'bytes=0-1,13-14', 'bytes=0-1,99-', 'bytes=99-,100-', 'bytes=0-6,4-8,-3'):
    case('GET ' + r, 'GET', M + '/m', {'Range': r})
case('HEAD with a range', 'HEAD', M + '/m', {'Range': 'bytes=0-1'})
case('HEAD with ranges', 'HEAD', M + '/m', {'Range': 'bytes=0-1,3-4'})
case('a range of data', 'GET', M + '/data', {'Range': 'bytes=1-2'})
case('a range of what is nested', 'GET', M + '/nested', {'Range': 'bytes=2-19'})
case('a range of ranges', 'GET', M + '/ranges', {'Range': 'bytes=2-5'})
# Swift 2.30 knows no part numbers of manifests: what newer ones answer is tested without a recording.
case('a part of what is no manifest', 'GET', S + '/a?part-number=2')
case('a part of nonsense of what is no manifest', 'GET', S + '/a?part-number=x')
case('a part of the list', 'GET', M + '/m' + GET + '&part-number=1')

# Conditions.
SUM = md5(md5('aaaaa') + md5('bbbbbbb') + md5('ccc'))
for method in ('GET', 'HEAD'):
    for h, v in (('If-Match', SUM), ('If-Match', '"%s"' % SUM), ('If-Match', '*'), ('If-Match', 'x'), ('If-None-Match', SUM), ('If-None-Match', '"%s"' % SUM),
                 ('If-None-Match', '*'), ('If-None-Match', 'x'), ('If-Modified-Since', '{m_date}'), ('If-Modified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT'),
                 ('If-Unmodified-Since', '{m_date}'), ('If-Unmodified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT')):
        case('%s %s %s' % (method, h, v), method, M + '/m', {h: v})
case('a range under a condition', 'GET', M + '/m', {'Range': 'bytes=0-1', 'If-Match': SUM})
case('a range under one that fails', 'GET', M + '/m', {'Range': 'bytes=0-1', 'If-Match': 'x'})
case('If-Range of it', 'GET', M + '/m', {'Range': 'bytes=0-1', 'If-Range': '"%s"' % SUM})
case('If-Range of another', 'GET', M + '/m', {'Range': 'bytes=0-1', 'If-Range': '"x"'})

# Who may read.
case('one who may read all', 'GET', M + '/m', user=USER)
case('one who may not read the last', 'GET', M + '/private', user=USER, apus=cut('private', 'aaaaa', 'private'))
case('one who may not read the first', 'GET', M + '/private1', user=USER)
case('the head, to one who may not read', 'HEAD', M + '/private1', user=USER)
case('a range that may be read', 'GET', M + '/private', {'Range': 'bytes=0-4'}, user=USER)
case('a range that may not be read', 'GET', M + '/private', {'Range': 'bytes=5-6'}, user=USER)
case('the owner', 'GET', M + '/private1')
put('a manifest of what may not be read', 'p2', [{'path': '/slo-private/p'}], user=USER, apus=dict(
    EARLY, status=403, text=FORBIDDEN, answer={'Content-Type': 'text/html; charset=UTF-8'}))
case('one who may write', 'POST', M, {'X-Container-Write': USER})
put('a manifest of what may not be read, by one who may write', 'p2', [{'path': '/slo-private/p'}, seg('a')], user=USER)
case('anybody reads', 'GET', M + '/m', user='')

# Copies, links and metadata.
case('a copy is no manifest', 'COPY', M + '/m', {'Destination': 'slo-man/copy'})
case('it is plain', 'GET', M + '/copy')
case('a copy of the manifest', 'COPY', M + '/m' + GET, {'Destination': 'slo-man/copy'})
case('it is a manifest', 'HEAD', M + '/copy')
case('with the same list', 'GET', M + '/copy' + RAW)
case('a copy of a part', 'COPY', M + '/m', {'Destination': 'slo-man/copy', 'Range': 'bytes=4-5'})
case('it is the part', 'GET', M + '/copy')
case('new metadata', 'POST', M + '/m', {'X-Object-Meta-Color': 'red', 'Content-Type': 'text/x-other'})
case('it is a manifest still', 'GET', M + '/m')
case('the listing after it', 'GET', M + '?format=json&prefix=m')
case('a link to it', 'PUT', M + '/link', {'X-Symlink-Target': 'slo-man/m'})
case('through the link', 'GET', M + '/link')
case('a list through the link', 'GET', M + '/link' + GET)
case('something else over it', 'PUT', M + '/copy', body='plain')
case('it is no manifest any more', 'GET', M + '/copy')

# Segments that are not what they were.
put('a segment that will go', 'going', [seg('a'), seg('gone')])
put('a segment that will go, first', 'going1', [seg('gone'), seg('a')])
put('a segment that will change', 'changing', [seg('a'), seg('changes')])
put('a segment that will change, first', 'changing1', [seg('changes'), seg('a')])
put('a long one whose last segment will go', 'cut', [{'path': '/slo-segs/long'}, seg('gone')])
case('it goes', 'DELETE', S + '/gone')
case('it changes', 'PUT', S + '/changes', body='after!')
for to in ('going', 'going1', 'changing', 'changing1'):
    case('GET ' + to, 'GET', M + '/' + to, apus={
        'going': cut(to, 'aaaaa', 'gone'), 'changing': cut(to, 'aaaaa', 'before')}.get(to))
    case('HEAD ' + to, 'HEAD', M + '/' + to)
    case('a part of it: ' + to, 'GET', M + '/' + to, {'Range': 'bytes=-3'})
    case('another part of it: ' + to, 'GET', M + '/' + to, {'Range': 'bytes=0-2'})

case('it breaks off', 'GET', M + '/cut')

# Nesting.
put('a manifest that will be in itself', 'loop', [seg('c')])
put('a manifest in a loop', 'loop2', [seg('c'), {'path': '/slo-man/loop'}])
put('the loop', 'loop', [seg('c'), {'path': '/slo-man/loop2'}])
case('GET a loop', 'GET', M + '/loop', apus={'why': 'the ETag of a manifest in a manifest is checked', 'cut': True, 'text': 'cccccc'})
case('HEAD a loop', 'HEAD', M + '/loop')
for n in range(1, 12):
    put('level %d' % n, 'level%d' % n, [{'path': '/slo-man/level%d' % (n - 1)} if n > 1 else seg('c')])
case('ten levels', 'GET', M + '/level10')
case('eleven levels', 'GET', M + '/level11')

# Heartbeats.
put('a heartbeat', 'beat', [seg('a'), seg('c')], more='&heartbeat=on')
put('a heartbeat in JSON', 'beat', [seg('a'), seg('c')], JSON, more='&heartbeat=yes')
put('a heartbeat in XML', 'beat', [seg('a'), seg('c')], XML, more='&heartbeat=on')
put('a heartbeat that is off', 'beat', [seg('a'), seg('c')], more='&heartbeat=off')
put('a heartbeat with faults', 'beat', BAD, more='&heartbeat=on')
put('a heartbeat with faults in JSON', 'beat', BAD, JSON, more='&heartbeat=on')
put('a heartbeat with a wrong ETag', 'beat', [seg('a')], {'ETag': 'x'}, more='&heartbeat=on')
put('a heartbeat with a wrong ETag in JSON', 'beat', [seg('a')], dict(JSON, ETag='x'), more='&heartbeat=on')
put('a heartbeat for nonsense', 'beat', '[', more='&heartbeat=on')
put('a heartbeat for a missing container', '../none', [seg('a')], more='&heartbeat=on')
case('a heartbeat for a container that is missing', 'PUT', A + '/slo-none/m' + PUT + '&heartbeat=on', body=json.dumps([seg('a')]))

# Deletion.
case('of what is no manifest', 'DELETE', S + '/c' + DEL)
case('of what is missing', 'DELETE', M + '/none' + DEL)
case('of what is missing, in JSON', 'DELETE', M + '/none' + DEL, JSON)
case('by one who may not', 'DELETE', M + '/m' + DEL, user='')
case('with an odd Accept', 'DELETE', M + '/m' + DEL, {'Accept': 'image/png'})
case('the manifest alone', 'DELETE', M + '/guess.html')
case('another word', 'DELETE', M + '/odd?multipart-manifest=get')
case('the segments are there', 'GET', S + '/a')
case('of one with a segment that is gone', 'DELETE', M + '/going' + DEL)
case('the other segment went with it', 'GET', S + '/a')
case('of one whose segments are gone', 'DELETE', M + '/going1' + DEL, JSON)
case('of one with data', 'DELETE', M + '/data' + DEL, XML)
for name in ('x1', 'x2', 'x3', 'x4'):
    case('a segment: ' + name, 'PUT', S + '/' + name, body=name)
put('a manifest in', 'in', [seg('x1')])
put('a manifest out', 'out', [{'path': '/slo-man/in'}, seg('x2')])
case('of what is nested', 'DELETE', M + '/out' + DEL)
case('what was in it went', 'HEAD', M + '/in')
case('and the segments', 'GET', S + '?prefix=x')
case('by POST', 'POST', M + '/m' + DEL)
put('a manifest to delete later', 'later', [seg('x3')])
case('later', 'DELETE', M + '/later' + DEL + '&async=on')
case('it went at once', 'HEAD', M + '/later')
put('segments of two containers', 'two', [seg('x4'), {'path': '/slo-private/p'}])
case('later, of two containers', 'DELETE', M + '/two' + DEL + '&async=on')
put('a manifest of a manifest', 'two2', [{'path': '/slo-man/two'}])
case('later, of a manifest', 'DELETE', M + '/two2' + DEL + '&async=yes')
case('later, of what is missing', 'DELETE', M + '/none' + DEL + '&async=on')
case('later, of what is no manifest', 'DELETE', S + '/c' + DEL + '&async=on')
case('later, by one who may write the manifest alone', 'DELETE', M + '/two' + DEL + '&async=on', user=USER)
put('a manifest that USER may not delete', 'two3', [seg('x4')])
case('later, by one who may not write the segments', 'DELETE', M + '/two3' + DEL + '&async=on', user=USER)
case('at once, by one who may not write the segments', 'DELETE', M + '/two3' + DEL, user=USER)
case('async that is off', 'DELETE', M + '/two3' + DEL + '&async=off')
case('the manifests that are left', 'GET', M)
for path in (S, M, P):
    c.empty(T, path)
c.write()
