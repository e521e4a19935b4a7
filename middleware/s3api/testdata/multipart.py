"""Records what OpenStack Swift's s3api answers to uploads in parts, for multipart.json.

    python3 multipart.py http://HOST:PORT > multipart.json

The server must have the tempauth user test:tester (.admin), s3api with min_segment_size = 5 to the left of tempauth, and slo. The
buckets s3m-one, s3m-two and s3m-other of that user are made and removed, and so are the containers of their parts.
"""
import hashlib
import os
import sys
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
U = 'test:tester'
B, KEY = '/s3m-one', '/s3m-one/d/k%C3%A9'
ID, TAG = {'id': 'text:<UploadId>(.*?)</UploadId>'}, 'header:ETag'
GONE = {'why': 'parts of an upload that is not under way are nobody\'s, as AWS has it', 'status': 404, 'text': 'Code NoSuchUpload',
        'answer': {'Content-Type': 'application/xml', 'Etag': None, 'Last-Modified': None}}


def case(name, method, path, headers=None, body='', **kw):
    return c.case(name, U, method, path, headers, body, s3=True, **kw)


TYPE = {'why': 'without a type it is that of an object in one piece', 'answer': {'Content-Type': 'binary/octet-stream'}}


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def order(*parts):
    return '<CompleteMultipartUpload>%s</CompleteMultipartUpload>' % ''.join(
        '<Part><PartNumber>%s</PartNumber><ETag>"%s"</ETag></Part>' % p for p in parts)


def differs(why, status, code, **answer):
    """Apus answers with an error of its own."""
    return {'why': why, 'status': status, 'text': 'Code ' + code, 'answer': dict({'Content-Type': 'application/xml'}, **answer)}


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
    c.rows[-1].setdefault('apus', {'why': why})['text'] = '\n'.join(sorted(l.replace(old, new) for l in lines))


for b in ('s3m-one', 's3m-two', 's3m-other'):
    c.empty(U, '/v1/AUTH_test/' + b)
    c.empty(U, '/v1/AUTH_test/' + b + '+segments')

case('an upload to a bucket that is missing', 'POST', KEY + '?uploads')
case('a bucket', 'PUT', B)
case('no uploads yet', 'GET', B + '?uploads')
case('parts of what was not begun', 'GET', KEY + '?uploadId=nosuch')
case('a part of what was not begun', 'PUT', KEY + '?uploadId=nosuch&partNumber=1', body='aaaaa')
case('the end of what was not begun', 'POST', KEY + '?uploadId=nosuch', body=order((1, md5('aaaaa'))))
case('the abort of what was not begun', 'DELETE', KEY + '?uploadId=nosuch')
case('an upload is begun', 'POST', KEY + '?uploads', {'x-amz-meta-a-b': 'v w', 'Content-Type': 'text/x', 'Cache-Control': 'no-cache',
     'Content-Disposition': 'inline', 'Content-Encoding': 'x', 'Content-Language': 'de', 'Expires': 'never'}, capture=ID)
case('a part', 'PUT', KEY + '?uploadId={id}&partNumber=1', body='aaaaa')
case('another one', 'PUT', KEY + '?uploadId={id}&partNumber=12', body='bbbbb')
case('one between', 'PUT', KEY + '?uploadId={id}&partNumber=3', body='cccccc')
case('a part again', 'PUT', KEY + '?uploadId={id}&partNumber=12', body='ccc')
case('a part with its hash', 'PUT', KEY + '?uploadId={id}&partNumber=3', {'Content-MD5': 'wbWZeqv4VEzPaDJw5BdbcQ=='}, body='other')
case('a part with a hash that is none', 'PUT', KEY + '?uploadId={id}&partNumber=3', {'Content-MD5': 'abc'}, body='cccccc')
for n in ('0', '1001', 'x', '', '-1'):
    case('part number %r' % n, 'PUT', KEY + '?partNumber=%s&uploadId={id}' % n, body='x')
case('a part number alone', 'PUT', KEY + '?partNumber=1', body='x')
case('the marker is an object of Swift', 'GET', '/s3m-one?uploads')
case('uploads with a prefix', 'GET', B + '?uploads&prefix=d/')
case('uploads with another prefix', 'GET', B + '?uploads&prefix=e')
case('uploads with a delimiter', 'GET', B + '?uploads&delimiter=/')
case('uploads after a key', 'GET', B + '?uploads&key-marker=e')
case('uploads in URL form', 'GET', B + '?uploads&encoding-type=url')
case('uploads in another form', 'GET', B + '?uploads&encoding-type=x')
case('max-uploads is no number', 'GET', B + '?uploads&max-uploads=x')
case('max-uploads is negative', 'GET', B + '?uploads&max-uploads=-1')
case('max-uploads is nothing', 'GET', B + '?uploads&max-uploads=0')
said('a page of nothing has no next one', 'IsTruncated true', 'IsTruncated false')
case('the parts', 'GET', KEY + '?uploadId={id}')
case('the first part', 'GET', KEY + '?uploadId={id}&max-parts=1')
case('the parts after it', 'GET', KEY + '?uploadId={id}&part-number-marker=1')
case('after all', 'GET', KEY + '?uploadId={id}&part-number-marker=12')
case('parts in URL form', 'GET', KEY + '?uploadId={id}&encoding-type=url')
case('max-parts is no number', 'GET', KEY + '?uploadId={id}&max-parts=x')
case('part-number-marker is no number', 'GET', KEY + '?uploadId={id}&part-number-marker=x')
case('the object is not there yet', 'GET', KEY)
P1, P3, P12 = (1, md5('aaaaa')), (3, md5('cccccc')), (12, md5('ccc'))
case('no order', 'POST', KEY + '?uploadId={id}')
case('an order for no parts', 'POST', KEY + '?uploadId={id}', body=order())
case('an order that is no XML', 'POST', KEY + '?uploadId={id}', body='<CompleteMultipartUpload>')
case('an order of something else', 'POST', KEY + '?uploadId={id}', body='<Delete/>')
case('a part without a number', 'POST', KEY + '?uploadId={id}', body='<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>')
case('parts in another order', 'POST', KEY + '?uploadId={id}', body=order(P3, P1))
case('a part twice', 'POST', KEY + '?uploadId={id}', body=order(P1, P1))
case('a hash that is none', 'POST', KEY + '?uploadId={id}', body=order((1, 'abc')))
case('a hash that is another', 'POST', KEY + '?uploadId={id}', body=order((1, md5('x'))))
case('a part that is missing', 'POST', KEY + '?uploadId={id}', body=order((2, md5('x'))))
case('a part that is too small', 'POST', KEY + '?uploadId={id}', body=order(P1, (3, md5('cccccc')), P12, (13, md5('x'))))
case('a small one that is not the last', 'PUT', KEY + '?uploadId={id}&partNumber=13', body='ccc')
case('is too small', 'POST', KEY + '?uploadId={id}', body=order(P1, P12, (13, md5('ccc'))))
case('an order with another hash', 'POST', KEY + '?uploadId={id}', {'Content-MD5': '1B2M2Y8AsgTpgAmY7PhCfg=='}, order(P1, P12))
case('a condition that is not there', 'POST', KEY + '?uploadId={id}', {'If-None-Match': '"x"'}, order(P1, P12),
     apus=differs('2.30 does not look at conditions', 501, 'NotImplemented'))
case('the end', 'POST', KEY + '?uploadId={id}', body=order(P1, P3, P12))
case('the end again', 'POST', KEY + '?uploadId={id}', body=order(P1, P3, P12))
case('the object', 'GET', KEY)
case('its head', 'HEAD', KEY)
case('a range of it', 'GET', KEY, {'Range': 'bytes=4-6'})
case('its end', 'HEAD', KEY, {'Range': 'bytes=-2'})
WHOLE = md5('aaaaaccccccccc')
TAG3 = hashlib.md5(b''.join(bytes.fromhex(p[1]) for p in (P1, P3, P12))).hexdigest() + '-3'
case('if it is the one', 'GET', KEY, {'If-Match': '"%s"' % TAG3})
case('if it is another', 'GET', KEY, {'If-Match': '"x"'})
case('if it is not the one', 'GET', KEY, {'If-None-Match': '"%s"' % TAG3})
case('its listing', 'GET', B)
case('no upload any more', 'GET', B + '?uploads')
case('a part of it', 'PUT', KEY + '?uploadId={id}&partNumber=1', body='aaaaa', apus=GONE)
case('the parts of it', 'GET', KEY + '?uploadId={id}', apus=GONE)
case('the abort of it', 'DELETE', KEY + '?uploadId={id}', apus={'why': 'it is the upload that is missing', 'text': 'Code NoSuchUpload'})
case('a source', 'PUT', '/s3m-one/source', body='0123456789')
case('an upload without a type', 'POST', '/s3m-one/copied.txt?uploads', capture={'second': ID['id']})
case('a part that is an object', 'PUT', '/s3m-one/copied.txt?uploadId={second}&partNumber=1', {'x-amz-copy-source': '/s3m-one/source'})
case('a part that is a range', 'PUT', '/s3m-one/copied.txt?uploadId={second}&partNumber=2',
     {'x-amz-copy-source': 's3m-one/source', 'x-amz-copy-source-range': 'bytes=2-4'})
case('a part that is a large object', 'PUT', '/s3m-one/copied.txt?uploadId={second}&partNumber=3', {'x-amz-copy-source': KEY},
     apus={'why': 'parts have no metadata', 'answer': {'X-Amz-Meta-A-B': None}})
for r in ('bytes=4-2', 'bytes=0-1,2-3', '0-1', 'bytes=x-y', 'bytes=20-30'):
    case('a range of %s' % r, 'PUT', '/s3m-one/copied.txt?uploadId={second}&partNumber=2',
         {'x-amz-copy-source': '/s3m-one/source', 'x-amz-copy-source-range': r})
case('a source that is missing', 'PUT', '/s3m-one/copied.txt?uploadId={second}&partNumber=2', {'x-amz-copy-source': '/s3m-one/none'})
case('a source under a condition', 'PUT', '/s3m-one/copied.txt?uploadId={second}&partNumber=2',
     {'x-amz-copy-source': '/s3m-one/source', 'x-amz-copy-source-if-match': '"x"'})
case('the copied parts', 'GET', '/s3m-one/copied.txt?uploadId={second}')
said('a copied part has its hash in the listing', 'Part/ETag ""', 'Part/ETag "%s"' % md5('0123456789'))
S1, S3 = (1, md5('0123456789')), (3, md5('aaaaaccccccccc'))
case('the end of the copies', 'POST', '/s3m-one/copied.txt?uploadId={second}', body=order(S1, S3))
case('an object of copies', 'GET', '/s3m-one/copied.txt', apus=TYPE)
case('a copy of an object in parts', 'PUT', '/s3m-one/whole', {'x-amz-copy-source': KEY})
said('a copy has no parts', TAG3, WHOLE)
case('is in one piece', 'HEAD', '/s3m-one/whole', apus={'why': 'a copy has no parts', 'answer': {'Etag': '"%s"' % WHOLE}})
case('an upload to be aborted', 'POST', '/s3m-one/gone?uploads', capture={'third': ID['id']})
case('with a part', 'PUT', '/s3m-one/gone?uploadId={third}&partNumber=1', body='x')
case('is aborted', 'DELETE', '/s3m-one/gone?uploadId={third}')
case('and has no parts', 'GET', '/s3m-one/gone?uploadId={third}')
case('and cannot be ended', 'POST', '/s3m-one/gone?uploadId={third}', body=order((1, md5('x'))))
case('an upload that is not empty without parts', 'POST', '/s3m-one/last?uploads', capture={'fourth': ID['id']})
case('with an empty part', 'PUT', '/s3m-one/last?uploadId={fourth}&partNumber=1')
case('is empty', 'POST', '/s3m-one/last?uploadId={fourth}', body=order((1, md5(''))))
case('as it should be', 'HEAD', '/s3m-one/last', apus=TYPE)
c.case('the containers of parts', U, 'GET', '/v1/AUTH_test/s3m-one+segments?format=json&prefix=d/')
case('the object goes', 'DELETE', KEY)
for k in ('source', 'copied.txt', 'whole', 'last'):
    case('so does ' + k, 'DELETE', '/s3m-one/' + k)
case('the bucket goes', 'DELETE', B)
c.case('so do the parts', U, 'GET', '/v1/AUTH_test/s3m-one+segments')
c.write()
