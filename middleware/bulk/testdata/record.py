"""Records what OpenStack Swift answers to archives and to lists of names to delete, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin), test:tester3 and test2:tester2, and the filters bulk with its
defaults and container_quotas. Containers of AUTH_test whose names begin with bulk- are made and removed.
"""
import bz2
import gzip
import io
import os
import random
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, USER, OTHER, A = 'test:tester', 'test:tester3', 'test2:tester2', '/v1/AUTH_test'
JSON, XML, OLDXML = {'Accept': 'application/json'}, {'Accept': 'application/xml'}, {'Accept': 'text/xml'}
E, GZ, BZ, D = '?extract-archive=tar', '?extract-archive=tar.gz', '?extract-archive=tar.bz2', '?bulk-delete'
CONTAINERS = ['bulk-' + n for n in ('a', 'b', 'new', 'base', 'shared', 'private', 'full', 'd')] + ['..']


def case(name, method, path, headers=None, body='', user=T, **kw):
    return c.case(name, user, method, path, headers, body, **kw)


def tar(*files, **kw):
    """An archive of (name, content[, what is special about the entry])."""
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode='w', **dict({'format': tarfile.PAX_FORMAT}, **kw)) as t:
        for name, content, *special in files:
            i = tarfile.TarInfo(name)
            i.size = len(content)
            for k, v in (special[0] if special else {}).items():
                setattr(i, k, v)
            t.addfile(i, io.BytesIO(content))
    # Two blocks of zeros are the end; what tar adds to them is left out of the recording.
    return b.getvalue().rstrip(b'\0') + b'\0' * (-len(b.getvalue().rstrip(b'\0')) % 512) + b'\0' * 1024


def attr(records, by='SCHILY'):
    return {'pax_headers': {by + '.xattr.user.' + k: v for k, v in records.items()}}


def put(name, archive, to=A, query=E, headers=None, user=T, **kw):
    return case(name, 'PUT', to + query, headers, archive, user, **kw)


def delete(name, body, headers=None, user=T, to=A, method='POST', **kw):
    return case(name, method, to + D, headers, body, user, **kw)


def patched(data, at, text):
    return data[:at] + text + data[at + len(text):]


def empty():
    for name in CONTAINERS:
        c.empty(T, A + '/' + name)


def text(n, status, body, *errors):
    return 'Number Files Created: %d\nResponse Body: %s\nResponse Status: %s\nErrors:\n%s' % (n, body, status, ''.join(e + '\n' for e in errors))


empty()

# Archives that are whole.
two = tar(('bulk-a/one.txt', b'1'), ('bulk-a/dir/two.html', b'22'))
put('two files, and their container', two)
case('one of them', 'GET', A + '/bulk-a/one.txt')
case('the other', 'HEAD', A + '/bulk-a/dir/two.html')
put('again', two)
put('as JSON', two, headers=JSON)
put('as XML', two, headers=XML)
put('as old XML', two, headers=OLDXML)
put('as nothing that there is', two, headers={'Accept': 'image/png'})
put('as what is no type', two, headers={'Accept': 'x/y/z'})
put('as anything', two, headers={'Accept': '*/*'})
put('compressed', gzip.compress(two, mtime=0), query=GZ)
put('compressed otherwise', bz2.compress(two), query=BZ)
put('in capitals and with a dot', two, query='?extract-archive=.TAR')
put('a format twice, the last counts', two, query='?extract-archive=zip&extract-archive=tar')
put('in chunks', two, chunked=True)
put('the old format', tar(('bulk-a/ustar', b'u'), format=tarfile.USTAR_FORMAT))
put('the format of GNU', tar(('bulk-a/' + 'long/' * 40 + 'name', b'g'), format=tarfile.GNU_FORMAT))
put('into a container', tar(('f', b'f'), ('dir/g', b'g')), A + '/bulk-base')
put('into a container, with slashes', tar(('f2', b'f'),), A + '/bulk-base//')
put('below a name', tar(('./h', b'h'), ('/i', b'i')), A + '/bulk-base/x/y/')
case('all of that', 'GET', A + '/bulk-base')
case('and the first', 'GET', A + '/bulk-a')
put('another version of the API', two, '/v1.0/AUTH_test')
put('names in escapes', tar(('bulk-b/a%41 b', b'e'), ('bulk-b/ünï', b'u'), ('bulk-b/q?x=y#z', b'q')))
case('they are', 'GET', A + '/bulk-b')

# Names.
names = [('../up/file', b'u'), ('/bulk-b/absolute', b'a'), ('./bulk-b/dot', b'd'), ('.//bulk-b/dots', b'd'), ('././bulk-b', b'x'),
         ('bulk-b/../up', b'u'), ('bulk-b//twice', b't'), ('bulk-b/./dot', b'.'), ('alone', b'a'), ('./alone', b'a')]
put('names that would be paths', tar(*names, format=tarfile.GNU_FORMAT))
case('where they are', 'GET', A + '/bulk-b')
case('and the container of two dots', 'GET', A + '/..')
put('only files without a container', tar(('alone', b'a'), ('x', b'')))
put('a file without a name', tar(('', b'a'), format=tarfile.GNU_FORMAT))
put('a name that is only a container', tar(('bulk-b/', b'a', {'type': b'7'}), format=tarfile.GNU_FORMAT),
    apus={'why': 'there is no object to be stored in: Swift stores nothing and counts it', 'text': text(0, '400 Bad Request', '', 'bulk-b/, 400 Bad Request')})
put('a path without a container', tar(('f', b'f')), A + '//x',
    apus={'why': 'Swift fails in its own code', 'status': 200, 'answer': {'Content-Length': '103'}, 'text': text(0, '400 Bad Request', '', '/x/f, 400 Bad Request')})
put('a name that is not UTF-8', tar(('bulk-b/\udcff', b'a'), ('bulk-b/ok', b'o'), format=tarfile.GNU_FORMAT))
put('a name that is too long', tar(('bulk-b/' + 'n' * 1025, b'a'), format=tarfile.GNU_FORMAT))
put('a name that is much too long', tar(('bulk-b/' + 'é' * 3000, b'a'), format=tarfile.GNU_FORMAT))
put('a container whose name is too long', tar(('b' * 257 + '/o', b'a'), ('bulk-b/ok', b''), format=tarfile.GNU_FORMAT))
link = {'linkname': 'bulk-b/ok'}
put('links, devices and directories', tar(
    ('bulk-b/sym', b'', dict(link, type=tarfile.SYMTYPE)), ('bulk-b/hard', b'', dict(link, type=tarfile.LNKTYPE)), ('bulk-b/chr', b'', {'type': tarfile.CHRTYPE}),
    ('bulk-b/blk', b'', {'type': tarfile.BLKTYPE}), ('bulk-b/fifo', b'', {'type': tarfile.FIFOTYPE}), ('bulk-b/dir', b'', {'type': tarfile.DIRTYPE}),
    ('bulk-b/odd', b'odd', {'type': b'z'}), ('bulk-b/contiguous', b'c', {'type': tarfile.CONTTYPE})))
put('only directories', tar(('bulk-b', b'', {'type': tarfile.DIRTYPE})))

# Metadata.
put('of the request', tar(('bulk-a/m1', b'm')), headers={
    'X-Object-Meta-Color': 'red', 'X-Delete-At': '9000000000', 'Content-Type': 'a/b', 'X-Container-Meta-A': 'b', 'Content-Disposition': 'x', 'X-Detect-Content-Type': 'yes'})
case('which of it', 'HEAD', A + '/bulk-a/m1')
put('of the file', tar(('bulk-a/m2', b'm', attr({'mime_type': 'c/d', 'meta.shape': 'round', 'meta.under_score': 'u', 'meta.ü': 'ü', 'other': 'x'}))),
    apus={'why': 'names of headers that are not tokens are refused', 'text': text(0, '400 Bad Request', '', 'bulk-a/m2, 400 Bad Request')})
c.send(T, 'DELETE', A + '/bulk-a/m2')
put('of the file, in ASCII', tar(('bulk-a/m3', b'm', attr({'mime_type': 'c/d', 'meta.shape': 'round', 'meta.under_score': 'u', 'meta.value': 'ü', 'other': 'x'}))))
case('which of that', 'HEAD', A + '/bulk-a/m3')
put('of another tar', tar(('bulk-a/m4', b'm', attr({'mime_type': 'e/f', 'meta.a': 'b'}, 'LIBARCHIVE'))))
case('which of that, too', 'HEAD', A + '/bulk-a/m4')
put('of both', tar(('bulk-a/m5', b'm', attr({'meta.color': 'blue'}))), headers={'X-Object-Meta-Color': 'red', 'X-Object-Meta-More': 'more'})
case('which of both', 'HEAD', A + '/bulk-a/m5')
put('of all files', tar(('bulk-a/m6', b'm'), ('bulk-a/m7', b'm', attr({'meta.a': 'own'})), pax_headers={'SCHILY.xattr.user.meta.a': 'all', 'SCHILY.xattr.user.meta.b': 'all'}))
case('of the first', 'HEAD', A + '/bulk-a/m6')
case('of the second', 'HEAD', A + '/bulk-a/m7')
put('names of other headers', tar(('bulk-a/m8', b'm', attr({'x-object-sysmeta-a': 'b', 'x-timestamp': '1', 'content-type': 'a/b', 'meta.x-backend-a': 'b'}))))
case('are none', 'HEAD', A + '/bulk-a/m8')
put('metadata that is too long', tar(('bulk-a/m9', b'm', attr({'meta.a': 'x' * 257}))))
put('metadata without a name', tar(('bulk-a/m9', b'm', attr({'meta.': 'x'}))))
put('a type that cannot be', tar(('bulk-a/m9', b'm', attr({'mime_type': 'a/b;swift_bytes=9'}))))
put('a time that is past', tar(('bulk-a/m9', b'm')), headers={'X-Delete-At': '1'})
put('times that are none', tar(('bulk-a/m9', b'm')), headers={'X-Delete-After': 'x'})

# Rights and quotas.
put('nobody', tar(('bulk-a/n', b'n'), ('bulk-a/o', b'o')), user='')
put('nobody, with a wrong token', tar(('bulk-a/n', b'n')), headers={'X-Auth-Token': 'AUTH_tkwrong'}, user='')
put('somebody else', tar(('bulk-a/n', b'n'), ('bulk-a/o', b'o')), user=OTHER)
put('somebody else, without a container', tar(('bulk-none/n', b'n')), user=USER)
case('a container that another may write to', 'PUT', A + '/bulk-shared', {'X-Container-Write': USER})
put('by that one', tar(('bulk-shared/n', b'n'), ('bulk-a/o', b'o')), user=USER)
case('a container of one byte', 'PUT', A + '/bulk-full', {'X-Container-Meta-Quota-Bytes': '3'})
put('more than that', tar(('bulk-full/n', b'12345'), ('bulk-full/o', b'1')))

# Archives that are not whole, or none.
three = tar(('bulk-d/a', b'x' * 1000), ('bulk-d/b', b'y' * 1000), format=tarfile.USTAR_FORMAT)
HEADER = {'why': 'an archive that breaks off is not whole: Swift takes that for its end', 'text': text(1, '400 Bad Request', 'Invalid Tar File: invalid header')}
noise = random.Random(1).randbytes(2000)
put('nothing', b'')
put('noise', noise)
put('a little noise', noise[:100])
put('zeros', b'\0' * 2048)
put('another format', two, query='?extract-archive=zip')
put('no format', two, query='?extract-archive=')
put('half a file', three[:600])
put('half a second file', three[:2300])
put('half a second header', three[:1600], apus=dict(HEADER, text=text(1, '400 Bad Request', 'Invalid Tar File: truncated header')))
put('no second header', three[:1536])
put('a wrong checksum', patched(three, 10, b'x'))
put('no checksum', patched(three, 148, b'zzzzzzzz'))
put('a wrong second checksum', patched(three, 1546, b'x'), apus=HEADER)
put('something behind its end', two + noise)
put('a size with nothing behind it', three[:512])
put('an empty file with nothing behind it', tar(('bulk-d/a', b''), format=tarfile.USTAR_FORMAT)[:512])
put('plain, and said to be compressed', three, query=GZ)
put('plain, and said to be compressed otherwise', three, query=BZ)
put('compressed, and said to be plain', gzip.compress(noise, mtime=0)[:600], query=E)
put('nothing, compressed', b'', query=GZ)
put('an empty one, compressed', gzip.compress(b'', mtime=0), query=GZ)
mixed = tar(('bulk-d/a', noise), format=tarfile.USTAR_FORMAT)
put('half of it, compressed', gzip.compress(mixed, mtime=0)[:1200], query=GZ)
put('compressed, with a fault', patched(gzip.compress(three, mtime=0), 20, b'\xff\xff\xff\xff'), query=GZ)
put('half of it, compressed otherwise', bz2.compress(three)[:60], query=BZ,
    apus={'why': 'it breaks off', 'text': text(0, '400 Bad Request', 'Invalid Tar File: unexpected end of data')})
put('no account', two, '/v1')
put('a container of nobody', two, '/v1/AUTH_test2')
case('another method', 'GET', A + '/bulk-a/one.txt' + E)

# Deletions.
put('what is to be deleted', tar(*[('bulk-d/' + n, b'') for n in ('a', 'b', 'c', 'e f', 'g', 'h', 'i', 'j/k', 'ü', 'l', 'm', 'n', 'o')]))
delete('two', 'bulk-d/a\n/bulk-d/b\n')
delete('one that is missing', 'bulk-d/none\n/bulk-d/c')
delete('quoted', 'bulk-d/e%20f\r\n  bulk-d/%C3%BC  \n\n/bulk-d/j%2Fk\n')
delete('with DELETE', 'bulk-d/g', method='DELETE')
delete('as JSON', 'bulk-d/h', JSON)
delete('as XML', 'bulk-d/i\nbulk-d/none', XML)
delete('as old XML', 'bulk-d/none%3C%26', OLDXML)
delete('as nothing that there is', 'bulk-d/l', {'Accept': 'image/png'})
delete('below another path', 'bulk-d/l', to=A + '/bulk-a/one.txt')
delete('in plain text', 'bulk-d/m', {'Content-Type': 'text/plain; charset=utf-8'})
delete('in what is no plain text', 'bulk-d/n', {'Content-Type': 'application/json'})
delete('in chunks', 'bulk-d/n', chunked=True)
delete('a container that is not empty', 'bulk-d')
delete('a container, with a fault, as JSON', 'bulk-d\nbulk-none/x', JSON)
delete('a container that is not empty, as XML', '/bulk-d/', XML)
delete('objects and then their container', '/bulk-d\nbulk-d/o\n')
delete('a container that is missing', 'bulk-none')
delete('nothing', '')
delete('empty lines', '\n \n\r\n')
delete('names that are none', b'%FF/a\nbulk-a/%00\n\xfe/x\n')
delete('the account', '/')
delete('the account, with more slashes', '//', JSON)
delete('escapes that are none', 'bulk-a/%zz%4')
delete('as many names as may be', 'bulk-a/none\n' * 40 + '\n' * 9960)
delete('one more', '\n' * 10001)
delete('one more, the last without an end', '\n' * 10000 + 'bulk-a/none')
delete('a line that is too long', 'bulk-a/' + 'x' * 5000)
delete('a name that is too long', 'bulk-a/' + 'x' * 1100)
delete('by nobody', 'bulk-a/one.txt', user='')
delete('by nobody, two', 'bulk-a/one.txt\nbulk-a', user='')
delete('by somebody else', 'bulk-a/one.txt', user=OTHER)
delete('by one who may', 'bulk-shared/n', user=USER)
delete('in no account', 'bulk-a/one.txt', to='/v1')
delete('in no account, by DELETE', 'bulk-a/one.txt', to='/v1', method='DELETE')
delete('in another account', 'bulk-a/one.txt', to='/v1/AUTH_test2', user=OTHER)
delete('a query in a name', 'bulk-a/one.txt%3Fmultipart-manifest=delete')
case('nothing of it is done by PUT', 'PUT', A + '/bulk-a' + D)
case('what is left', 'GET', A + '/bulk-a')
empty()
c.write()
