"""Records what OpenStack Swift's s3api answers, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have the tempauth user test:tester (.admin) and s3api to the left of tempauth. The buckets s3r-one, s3r-two and
s3r-versions of that user are made and removed. Its ACLs are those of s3_acl; what depends on the mode is not asked for here.
"""
import base64
import hashlib
import html
import os
import re
import sys
import urllib.parse
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
U = 'test:tester'
XML = {'why': 'every document has a type', 'answer': {'Content-Type': 'application/xml'}}


def case(name, method, path, headers=None, body='', **kw):
    c.case(name, U, method, path, headers, body, s3=True, **kw)


def ask(method, path, headers=None, body=''):
    return c.send(U, method, path, headers, body, s3=True)


def said(why, old, new):
    """Apus says of the last row something else than Swift: in place of one text another, in the form that the test compares."""
    lines = []

    def walk(e, path):
        path = path + [e.tag.split('}')[-1]]
        if (e.text or '').strip():
            lines.append('/'.join(path) + ' ' + e.text.strip())
        for child in e:
            walk(child, path)

    walk(xml.etree.ElementTree.fromstring(c.rows[-1]['text']), [])
    c.rows[-1]['apus'] = {'why': why, 'text': '\n'.join(sorted(l.replace(old, new) for l in lines))}


def md5(text):
    return base64.b64encode(hashlib.md5(text.encode()).digest()).decode()


def delete(*keys, quiet=False):
    return '<Delete>%s%s</Delete>' % ('<Quiet>true</Quiet>' if quiet else '', ''.join('<Object><Key>%s</Key></Object>' % k for k in keys))


def wipe(bucket):
    """Removes a bucket with all that is in it, and records nothing."""
    text = ask('GET', '/%s?versions' % bucket).body.decode()
    for key, version in re.findall('<Key>(.*?)</Key><VersionId>(.*?)</VersionId>', text):
        ask('DELETE', '/%s/%s?versionId=%s' % (bucket, urllib.parse.quote(html.unescape(key)), version))
    ask('DELETE', '/' + bucket)


for b in ('s3r-one', 's3r-two', 's3r-versions'):
    wipe(b)

# Buckets.
case('a bucket that is not there', 'HEAD', '/s3r-one')
case('its objects', 'GET', '/s3r-one')
case('a bucket is made', 'PUT', '/s3r-one')
case('and again', 'PUT', '/s3r-one')
case('another one, with its region', 'PUT', '/s3r-two', body='<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>')
case('one elsewhere', 'PUT', '/s3r-three', body='<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>')
case('with what is no XML', 'PUT', '/s3r-three', body='<CreateBucketConfiguration>')
case('with a DTD', 'PUT', '/s3r-three', body='<!DOCTYPE x [<!ENTITY e "us-east-1">]><CreateBucketConfiguration><LocationConstraint>&e;</LocationConstraint></CreateBucketConfiguration>',
     apus={'why': 'a DTD is refused before anything is made of the document', 'text': 'Code MalformedXML'})
case('with another document', 'PUT', '/s3r-three', body='<Other/>')
for name in ('ab', 'Upper', 'under_score', '192.168.1.1', 'dot..dot', 'a' * 64, 'ends-'):
    case('a bad name: ' + name, 'PUT', '/' + name)
case('the bucket is there', 'HEAD', '/s3r-one')
case('where it is', 'GET', '/s3r-one?location')
case('its log', 'GET', '/s3r-one?logging')
case('its versioning', 'GET', '/s3r-one?versioning', apus=XML)
case('PATCH', 'PATCH', '/s3r-one')
case('no logging', 'PUT', '/s3r-one?logging', body='<BucketLoggingStatus/>')
for sub in ('website', 'policy', 'notification', 'requestPayment', 'cors', 'tagging'):
    case('nothing is configured: ' + sub, 'PUT', '/s3r-one?' + sub, body='<x/>')

# Objects.
ETAG = hashlib.md5(b'content').hexdigest()
case('an object that is not there', 'GET', '/s3r-one/key')
case('its head', 'HEAD', '/s3r-one/key')
case('in no bucket', 'GET', '/s3r-none/key')
case('put in no bucket', 'PUT', '/s3r-none/key', body='content')
case('an object is put', 'PUT', '/s3r-one/key', {'Content-Type': 'text/x', 'x-amz-meta-color': 'blue', 'x-amz-meta-under_score': '1', 'Cache-Control': 'no-cache', 'Content-Disposition': 'inline'}, 'content')
case('it is there', 'GET', '/s3r-one/key')
case('and its head', 'HEAD', '/s3r-one/key')
case('to the Swift API', 'GET', '/s3r-one/key', {'Range': 'bytes=0-2'})
c.case('what Swift has', U, 'HEAD', '/v1/AUTH_test/s3r-one/key')
case('the end of it', 'GET', '/s3r-one/key', {'Range': 'bytes=-3'})
case('beyond its end', 'GET', '/s3r-one/key', {'Range': 'bytes=10-20'})
case('no range', 'GET', '/s3r-one/key', {'Range': 'bytes=x'})
case('the head of a range', 'HEAD', '/s3r-one/key', {'Range': 'bytes=1-2'})
case('the head of a range beyond', 'HEAD', '/s3r-one/key', {'Range': 'bytes=10-'})
case('if it matches', 'GET', '/s3r-one/key', {'If-Match': '"%s"' % ETAG})
case('if it does not', 'GET', '/s3r-one/key', {'If-Match': '"0"'})
case('if it is another one', 'GET', '/s3r-one/key', {'If-None-Match': '"%s"' % ETAG})
case('if it was changed', 'GET', '/s3r-one/key', {'If-Modified-Since': 'Fri, 01 Jan 2049 00:00:00 GMT'})
case('if it was not', 'GET', '/s3r-one/key', {'If-Unmodified-Since': 'Fri, 01 Jan 2010 00:00:00 GMT'})
case('with other headers', 'GET', '/s3r-one/key?response-content-type=a%2Fb&response-cache-control=c&response-content-disposition=d&response-content-encoding=e&response-content-language=f&response-expires=g')
case('its null version', 'GET', '/s3r-one/key?versionId=null')
case('a version that is not there', 'GET', '/s3r-one/key?versionId=1.00000')
case('an empty object', 'PUT', '/s3r-one/empty')
case('is empty', 'GET', '/s3r-one/empty')
case('odd names', 'PUT', '/s3r-one/a%20b%2Bc%26%3F%C3%BC/d%25', body='odd')
case('are found', 'GET', '/s3r-one/a%20b%2Bc%26%3F%C3%BC/d%25')
case('the right MD5', 'PUT', '/s3r-one/md5', {'Content-MD5': md5('x')}, 'x')
case('the wrong MD5', 'PUT', '/s3r-one/md5', {'Content-MD5': md5('y')}, 'x')
case('no MD5', 'PUT', '/s3r-one/md5', {'Content-MD5': 'zzz'}, 'x')
case('a long key', 'PUT', '/s3r-one/' + 'k' * 1025, body='x')
case('metadata that is not ASCII', 'PUT', '/s3r-one/meta', {'x-amz-meta-a': 'x=1 y'}, 'x')
for header, value in (('x-amz-storage-class', 'GLACIER'), ('x-amz-mfa', 'x'), ('x-amz-tagging', 'a=b'), ('x-amz-website-redirect-location', '/x'),
                      ('x-amz-server-side-encryption', 'AES256'), ('x-amz-server-side-encryption', 'other')):
    case('refused: %s %s' % (header, value), 'PUT', '/s3r-one/no', {header: value}, 'x')
case('a chosen class', 'PUT', '/s3r-one/class', {'x-amz-storage-class': 'STANDARD'}, 'x')

# Copies.
case('a copy', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-one/key'})
case('is like it', 'HEAD', '/s3r-two/copy')
case('with new metadata', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': 's3r-one/key', 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-shape': 'round', 'Content-Type': 'a/b'})
case('which it has', 'HEAD', '/s3r-two/copy')
case('onto itself', 'PUT', '/s3r-one/key', {'x-amz-copy-source': '/s3r-one/key'})
case('of nothing', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-one/none'})
case('from no bucket', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-none/key'})
case('a bad source', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': 's3r-one'})
case('a source with a parameter', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-one/key?x=1'})
case('a bad directive', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-one/key', 'x-amz-metadata-directive': 'x'})
case('with a range', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-one/key', 'x-amz-copy-source-range': 'bytes=0-1'})
case('if the source matches', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-one/key', 'x-amz-copy-source-if-match': ETAG})
case('if it does not', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-one/key', 'x-amz-copy-source-if-match': '"0"'})
case('if it is another', 'PUT', '/s3r-two/copy', {'x-amz-copy-source': '/s3r-one/key', 'x-amz-copy-source-if-none-match': ETAG})
case('of an odd name', 'PUT', '/s3r-two/odd', {'x-amz-copy-source': '/s3r-one/a%20b%2Bc%26%3F%C3%BC/d%25'})

# Listings.
for k in ('dir/a', 'dir/b', 'dir2/c', 'z'):
    case('put ' + k, 'PUT', '/s3r-two/' + k, body=k)
for q in ('', '?list-type=2', '?list-type=2&fetch-owner=true', '?delimiter=%2F', '?list-type=2&delimiter=%2F', '?prefix=dir%2F', '?max-keys=2', '?max-keys=0',
          '?delimiter=%2F&max-keys=2', '?marker=dir%2Fa', '?list-type=2&start-after=dir%2Fa', '?encoding-type=url', '?list-type=2&encoding-type=url&prefix=o&delimiter=d',
          '?list-type=2&max-keys=2', '?list-type=2&continuation-token=ZGlyL2E%3D', '?delimiter=ir', '?prefix=none', '?versions', '?versions&prefix=dir%2F&max-keys=1'):
    case('listed: ' + q, 'GET', '/s3r-two' + q)
case('max-keys of letters', 'GET', '/s3r-two?max-keys=x')
case('less than nothing', 'GET', '/s3r-two?max-keys=-1')
case('too many', 'GET', '/s3r-two?max-keys=2147483648')
case('another encoding', 'GET', '/s3r-two?encoding-type=x')
case('a version marker alone', 'GET', '/s3r-two?versions&version-id-marker=null')
case('the buckets', 'GET', '/')
said('the containers say when they were made', '2009-02-03T16:45:09.000Z', '{iso}')

# Deletions.
case('a bucket with objects', 'DELETE', '/s3r-two')
case('no order', 'POST', '/s3r-two?delete', {'Content-MD5': md5('')})
doc = delete('dir/a', 'none', 'dir/b')
case('without a checksum', 'POST', '/s3r-two?delete', body=doc)
case('with a wrong one', 'POST', '/s3r-two?delete', {'Content-MD5': md5('x')}, doc)
case('several objects', 'POST', '/s3r-two?delete', {'Content-MD5': md5(doc)}, doc, apus=XML)
doc = delete('dir2/c', quiet=True)
case('quietly', 'POST', '/s3r-two?delete', {'Content-MD5': md5(doc)}, doc, apus=XML)
doc = delete('')
case('no key', 'POST', '/s3r-two?delete', {'Content-MD5': md5(doc)}, doc)
doc = '<Delete><Object>'
case('what is no XML', 'POST', '/s3r-two?delete', {'Content-MD5': md5(doc)}, doc)
doc = delete('z')
case('in no bucket', 'POST', '/s3r-none?delete', {'Content-MD5': md5(doc)}, doc)
case('an object is deleted', 'DELETE', '/s3r-two/z')
case('and again', 'DELETE', '/s3r-two/z')
case('in no bucket', 'DELETE', '/s3r-none/z')

# Versions.
case('a bucket for versions', 'PUT', '/s3r-versions')
case('a word that is none', 'PUT', '/s3r-versions?versioning', body='<VersioningConfiguration><Status>Perhaps</Status></VersioningConfiguration>')
case('versions are kept', 'PUT', '/s3r-versions?versioning', body='<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>')
case('which it says', 'GET', '/s3r-versions?versioning', apus=XML)
case('the first version', 'PUT', '/s3r-versions/k', body='first', capture={'first': 'header:x-amz-version-id'})
case('the second', 'PUT', '/s3r-versions/k', body='second', capture={'second': 'header:x-amz-version-id'})
case('the current one', 'GET', '/s3r-versions/k')
case('the first one', 'GET', '/s3r-versions/k?versionId={first}')
case('its head', 'HEAD', '/s3r-versions/k?versionId={first}')
case('a copy of it', 'PUT', '/s3r-versions/copy', {'x-amz-copy-source': '/s3r-versions/k?versionId={first}'})
case('is like it', 'GET', '/s3r-versions/copy')
case('is deleted', 'DELETE', '/s3r-versions/k')
case('is gone', 'GET', '/s3r-versions/k', apus={'why': 'AWS says which marker it is', 'answer': {'X-Amz-Version-Id': '{timestamp}'}})
case('all versions', 'GET', '/s3r-versions?versions')
case('the second one is deleted for good', 'DELETE', '/s3r-versions/k?versionId={second}')
case('is not there', 'GET', '/s3r-versions/k?versionId={second}', apus={'why': 'AWS says which it is that is not there', 'text': 'Code NoSuchVersion'})
case('some versions', 'GET', '/s3r-versions?versions&max-keys=1')
said('the next page begins after a version', 'NextVersionIdMarker null', 'NextVersionIdMarker {timestamp}')
case('no more are kept', 'PUT', '/s3r-versions?versioning', body='<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>')
case('which it says too', 'GET', '/s3r-versions?versioning', apus=XML)
case('a bucket with versions', 'DELETE', '/s3r-versions')

for k in ('copy', 'odd'):
    case('deleted: ' + k, 'DELETE', '/s3r-two/' + k)
case('the bucket is deleted', 'DELETE', '/s3r-two')
case('it is gone', 'DELETE', '/s3r-two')
for b in ('s3r-one', 's3r-two', 's3r-versions'):
    wipe(b)
c.write()
