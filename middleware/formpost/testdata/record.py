"""Records what OpenStack Swift answers to forms, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have the users of etc/functional-test.toml, and the filter formpost with all digests. The account
AUTH_filtersc-form is made and removed; it cannot be made a second time on the same server.
"""
import base64
import hashlib
import hmac
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
A = '/v1/AUTH_filtersc-form'
C = A + '/c'
EXP, PAST = 4102444800, 200000000
U = 'admin:admin'
AK, AK2, CK, CK2 = 'account key', 'account-key-2', 'container+key', 'k\u00e9y'


def raw(text):
    """Text in UTF-8, one character per byte."""
    return text.encode().decode('latin-1')


def apus(why, text=None, status=None, **answer):
    """What Apus answers otherwise."""
    out = {'why': why}
    if status:
        out['status'] = status
    if text is not None:
        out['text'] = text
        answer['Content-Length'] = str(len(text.encode()))
    out['answer'] = {k.replace('_', '-'): v for k, v in answer.items()}
    return out


def failed(text):
    """Swift 2.38 answers with the body of the failed upload, where 2.30 has its status."""
    return apus('newer releases answer with what the upload was answered', text)


def page(title, text):
    return failed('<html><h1>%s</h1><p>%s</p></html>' % (title, text))


def case(name, user, method, path, headers=None, body='', apus=None):
    """Asks and records. The body is bytes, one character each."""
    chunked = (headers or {}).pop('Transfer-Encoding', None) is not None
    c.case(name, user, method, path, headers, body if body.isascii() else body.encode('latin-1'), chunked, apus=apus)


def sign(path, key=AK, redirect='', size=1000, count=2, exp=EXP, algo='sha256', style='hex'):
    text = '%s\n%s\n%s\n%s\n%s' % (path, redirect, size, count, exp)
    mac = hmac.new(key.encode(), text.encode(), getattr(hashlib, algo))
    if style == 'hex':
        return mac.hexdigest()
    b = base64.standard_b64encode if style == 'std' else base64.urlsafe_b64encode
    return algo + ':' + b(mac.digest()).decode()


def field(name, value):
    return 'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (name, value)


def file(name, content, head='', field='file'):
    return 'Content-Disposition: form-data; name="%s"; filename="%s"\r\n%s\r\n%s' % (field, name, head, content)


def fields(path=C + '/p-', more=(), order=None, **signed):
    """The fields of a good form, as name and value."""
    out = []
    redirect = signed.get('redirect', '')
    if redirect:
        out.append(('redirect', redirect))
    out += [('max_file_size', signed.get('size', 1000)), ('max_file_count', signed.get('count', 2)), ('expires', signed.get('exp', EXP)),
            ('signature', sign(path, **signed))]
    return [field(n, v) for n, v in out if v is not None] + [field(n, v) for n, v in more]


def join(parts, boundary='X', end='--X--\r\n', start=''):
    return start + ''.join('--%s\r\n%s\r\n' % (boundary, p) for p in parts) + end


def post(name, parts, to=C + '/p-', headers=None, boundary='X', user='', ctype=None, apus=None, **kw):
    h = {'Content-Type': ctype or 'multipart/form-data; boundary=' + boundary}
    h.update(headers or {})
    body = parts if isinstance(parts, str) else join(parts, boundary, **kw)
    return case(name, user, 'POST', urllib.parse.quote(to), h, body, apus)


def there(what, name='p-a.txt', user=U):
    case('it is there: ' + what, user, 'GET', C + '/' + urllib.parse.quote(name))


def gone(what, name='p-a.txt'):
    case('it is not there: ' + what, U, 'GET', C + '/' + urllib.parse.quote(name))


def drop(name='p-a.txt'):
    case('it is removed', U, 'DELETE', C + '/' + urllib.parse.quote(name))


TXT = 'Content-Type: text/plain\r\n'
HELLO = file('a.txt', 'hello', TXT)

case('the account is made', U, 'PUT', A, {'X-Account-Meta-Temp-URL-Key': AK, 'X-Account-Meta-Temp-URL-Key-2': AK2})
case('a container is made', U, 'PUT', C, {'X-Container-Meta-Temp-URL-Key': CK, 'X-Container-Meta-Temp-URL-Key-2': CK2,
                                          'X-Container-Meta-Access-Control-Allow-Origin': 'http://good.example',
                                          'X-Container-Meta-Access-Control-Expose-Headers': 'X-Told'})
case('another container', U, 'PUT', A + '/d', {'X-Container-Meta-Temp-URL-Key': 'other'})

post('a good form', fields() + [HELLO])
there('a good form')
drop()
post('two files', fields() + [HELLO, file('b', 'bb', field='f2')])
there('the second', 'p-b')
post('too many files', fields(count=1) + [HELLO, file('c', 'cc', field='f2')])
gone('one too many', 'p-c')
post('too many files, and redirect', fields(count=1, redirect='http://r/x?y=z') + [HELLO, file('c', 'cc', field='f2')])
post('no files allowed', fields(count=0) + [HELLO])
for key in (AK, AK2, CK, CK2):
    post('signed with ' + key, fields(key=key) + [HELLO])
for algo in ('sha1', 'sha256', 'sha512'):
    for style in ('hex', 'std', 'url'):
        post('%s %s' % (algo, style), fields(algo=algo, style=style) + [HELLO])
post('md5 in hex', fields(algo='md5') + [HELLO])
post('md5 in base64', fields(algo='md5', style='std') + [HELLO])
post('a wrong key', fields(key='wrong') + [HELLO])
post('a wrong key, with a token', fields(key='wrong') + [HELLO], user=U)
post('a wrong key and a redirect', fields(key='wrong', redirect='http://r/') + [HELLO])
post('the other container\'s key', fields(key='other') + [HELLO])
post('an account key for the other', fields(path=A + '/d/p-') + [HELLO], to=A + '/d/p-')
post('a key of this container for the other', fields(path=A + '/d/p-', key=CK) + [HELLO], to=A + '/d/p-')
post('another path', fields(path=C + '/q-') + [HELLO])
post('a shorter path', fields(path=C + '/p') + [HELLO])
post('a longer path', fields(path=C + '/p-a') + [HELLO])
post('another redirect', fields(redirect='http://r/') + [field('redirect', 'http://evil/'), HELLO])
post('another size', fields() + [field('max_file_size', 2000), HELLO])
post('another count', fields() + [field('max_file_count', 3), HELLO])
post('another time', fields() + [field('expires', EXP + 1), HELLO])
post('the signature of another form first', [field('signature', 'x')] + fields() + [HELLO])
post('an empty signature', fields() + [field('signature', ''), HELLO])
post('no signature', fields()[:-1] + [HELLO])
post('no fields', [HELLO])
post('expired', fields(exp=PAST) + [HELLO])
post('expired, and a wrong key', fields(exp=PAST, key='wrong') + [HELLO])
post('no time', fields(exp='0')[:2] + [field('signature', sign(C + '/p-', exp='0')), HELLO])
for value in ('x', '4102444800.0', '', ' 4102444800 ', '+4102444800', '4_102_444_800', '4__1', '_4', '99999999999999999999', '-5', '0x10'):
    post('expires %r' % value, [field('max_file_size', 1000), field('max_file_count', 2), field('expires', raw(value)),
                                field('signature', sign(C + '/p-', exp=value or '0')), HELLO])
    post('max_file_size %r' % value, [field('max_file_size', raw(value)), field('max_file_count', 2), field('expires', EXP),
                                      field('signature', sign(C + '/p-', size=value or '0')), HELLO])
    post('max_file_count %r' % value, [field('max_file_size', 1000), field('max_file_count', raw(value)), field('expires', EXP),
                                       field('signature', sign(C + '/p-', count=value or '0')), HELLO])
post('the largest file', fields(size=5) + [HELLO])
drop()
post('too large a file', fields(size=4) + [HELLO])
gone('too large')
post('too large a file, and a redirect', fields(size=4, redirect='http://r/') + [HELLO])
post('the second too large', fields(size=5) + [HELLO, file('big', 'x' * 6, field='f2')])
gone('the second', 'p-big')
post('too large, and expired', fields(size=4, exp=PAST) + [HELLO])
post('an empty file', fields(size=0) + [file('empty', '')])
there('an empty file', 'p-empty')
post('a file of 20000 bytes', fields(size=20000) + [file('long', '0123456789' * 2000)])
case('it is there: long', U, 'HEAD', C + '/p-long')
post('a file of 20000 bytes where 19999 are allowed', fields(size=19999) + [file('long2', '0123456789' * 2000)])
gone('long2', 'p-long2')

post('no files', fields())
post('no files, and a redirect', fields(redirect='http://r/'))
post('no files, and an unsigned redirect', [field('redirect', 'http://r/')])
post('a file without a name', fields() + [file('', 'hello')])
post('a redirect', fields(redirect='http://r/') + [HELLO])
post('a redirect with a query', fields(redirect='http://r/?a=b&c=d') + [HELLO])
post('a redirect with a fragment', fields(redirect='http://r/#f') + [HELLO])
post('a relative redirect', fields(redirect='/v1/x') + [HELLO])
post('a redirect with blanks and quotes', fields(redirect='http://r/ a\'b') + [HELLO])
post('a redirect after the file', fields() + [HELLO, field('redirect', 'http://late/')])
post('a redirect that ends in a hyphen', fields(redirect='http://r/a-') + [HELLO])
post('a redirect with a line end after it', fields(redirect='http://r/a')[1:] + [field('redirect', 'http://r/a\r\n'), HELLO])
post('a redirect of two lines', fields(redirect='http://r/\r\nX-A: b') + [HELLO],
     apus=apus('Swift lets a form add headers', Location='http://r/%0D%0AX-A: b?status=201&message=', X_A=None))
post('a redirect with markup', fields(redirect='http://r/"><script>x</script>') + [HELLO],
     apus=apus('Swift lets a form add markup', '<html><body><p><a href="http://r/&quot;&gt;&lt;script&gt;x&lt;/script&gt;?status=201&message=">Click to continue...</a></p></body></html>'))
post('a redirect to a failure', fields(path=A + '/none/p-', redirect='http://r/') + [HELLO], to=A + '/none/p-')
post('a container that is missing', fields(path=A + '/none/p-') + [HELLO], to=A + '/none/p-', apus=page('Not Found', 'The resource could not be found.'))
post('an account that is missing', fields(path='/v1/AUTH_filtersc-none/c/p-') + [HELLO], to='/v1/AUTH_filtersc-none/c/p-')
post('a container without a slash', fields(path=C) + [HELLO], to=C)
there('a container without a slash', 'a.txt')
post('a container with a slash', fields(path=C + '/') + [HELLO], to=C + '/')
post('a container with two slashes', fields(path=C + '//') + [HELLO], to=C + '//')
there('two slashes', '/a.txt')
post('signed with a slash', fields(path=C + '/') + [HELLO], to=C)
post('an account', fields(path=A) + [HELLO], to=A)
post('an account with a slash', fields(path=A + '/') + [HELLO], to=A + '/')
post('another version', fields(path='/v1.0' + C[3:] + '/p-') + [HELLO], to='/v1.0' + C[3:] + '/p-')
post('an unknown version', fields(path='/v9' + C[3:] + '/p-') + [HELLO], to='/v9' + C[3:] + '/p-')
post('nothing like a path', fields(path='/x') + [HELLO], to='/x')
post('a path with odd characters', fields(path=C + '/b \u00e9%?-') + [HELLO], to=C + '/b \u00e9%?-')
there('odd characters', 'b \u00e9%?-a.txt')
post('with a query', fields() + [HELLO], headers={}, to=C + '/p-')
case('with a query', '', 'POST', C + '/p-?multipart-manifest=put&x=y', {'Content-Type': 'multipart/form-data; boundary=X'}, join(fields() + [HELLO]))

for n in ('dir/sub/f', '../../other/x', '/abs', ' lead', 'a b+c%20', raw('\u00e9\u65e5.txt'), '\xe9latin', 'q"q', 'back\\slash', 'semi;colon', '.', 'a\tb', 'x' * 1022, 'x' * 1023):
    post('a file named %r' % n[:40], fields() + [file(n, 'named')], apus=failed('Object name length of 1025 longer than 1024') if len(n) == 1023 else None)
case('the names', U, 'GET', C + '?format=plain')
case('the names in JSON, of latin', U, 'GET', C + '?prefix=p-' + urllib.parse.quote('\u00e9'))
post('a file name without quotes', fields() + ['Content-Disposition: form-data; name=file; filename=bare.txt\r\n\r\nbare'])
there('bare', 'p-bare.txt')
post('a file name first', fields() + ['Content-Disposition: form-data; filename="first"; name="file"\r\n\r\nfirst'])
there('first', 'p-first')
post('two names', fields() + ['Content-Disposition: form-data; filename="n1"; filename="n2"\r\n\r\nx'])
there('the last', 'p-n2')
post('without a blank', fields() + ['Content-Disposition: form-data;name="file";filename="tight"\r\n\r\nx'])
there('tight', 'p-tight')
post('with two blanks', fields() + ['Content-Disposition: form-data; name="file";  filename="loose"\r\n\r\nx'])
post('filename*', fields() + ['Content-Disposition: form-data; name="file"; filename*=UTF-8\'\'star\r\n\r\nx'])
post('filename, then filename*', fields() + ['Content-Disposition: form-data; name="file"; filename="plain"; filename*=UTF-8\'\'star\r\n\r\nx'])
there('plain', 'p-plain')
post('FileName in capitals', fields() + ['Content-Disposition: form-data; name="file"; FileName="caps"\r\n\r\nx'])
post('Form-Data in capitals', fields() + ['Content-Disposition: Form-Data; name="file"; filename="caps"\r\n\r\nx'])
post('an attachment', fields() + ['Content-Disposition: attachment; name="file"; filename="att"\r\n\r\nx'])
post('a header in small letters', fields() + ['content-disposition: form-data; name="file"; filename="small"\r\ncontent-type: a/b\r\n\r\nx'])
there('small', 'p-small')
post('a folded header', fields() + ['Content-Disposition: form-data;\r\n name="file"; filename="fold"\r\n\r\nx'])
post('a header before and after', fields() + ['X-A: b\r\nContent-Disposition: form-data; name="file"; filename="amid"\r\nX-C: d\r\n\r\nx'])
there('amid', 'p-amid')
post('a header that is none', fields() + ['nonsense\r\nContent-Disposition: form-data; name="file"; filename="none"\r\n\r\nx'])
post('a part without headers', fields() + ['\r\nx', HELLO])
post('a part without anything', fields() + ['', HELLO])
post('a field named in capitals', [field('MAX_FILE_SIZE', 1000), field('Max_File_Count', 2), field('Expires', EXP), field('SIGNATURE', sign(C + '/p-')), HELLO])
post('fields after the file', [fields()[0], fields()[1], HELLO] + fields()[2:])

post('a type in the form', fields(more=[('content-type', 'text/x-form')]) + [HELLO])
there('a type in the form')
post('a type in the part', fields() + [file('a.txt', 'x', 'Content-Type: text/x-part; charset=utf-8\r\n')])
there('a type in the part')
post('an empty type in the form', fields(more=[('content-type', '')]) + [HELLO])
there('an empty type in the form')
post('an empty type in the part', fields() + [file('a.html', 'x', 'Content-Type: \r\n')])
there('an empty type in the part', 'p-a.html')
post('no type', fields() + [file('b.html', 'x')])
there('no type', 'p-b.html')
post('no type and no suffix', fields() + [file('b', 'x')])
there('no type and no suffix', 'p-b')
post('an encoding in the form', fields(more=[('content-encoding', 'gzip')]) + [HELLO])
there('an encoding in the form')
post('an encoding in the part', fields() + [file('a.txt', 'x', 'Content-Encoding: br\r\n')])
there('an encoding in the part')
post('both encodings', fields(more=[('content-encoding', 'gzip')]) + [file('a.txt', 'x', 'Content-Encoding: br\r\n')])
there('both encodings')
post('an empty encoding', fields(more=[('content-encoding', '')]) + [HELLO])
there('an empty encoding')
post('types of two files', fields() + [file('t1', 'x', 'Content-Type: a/one\r\n'), file('t2', 'x', 'Content-Encoding: two\r\n')])
there('one', 'p-t1')
there('two', 'p-t2')
post('a transfer encoding', fields() + [file('a.txt', 'aGk=', 'Content-Transfer-Encoding: base64\r\n')])
there('a transfer encoding')

post('x_delete_at', fields(more=[('x_delete_at', '4102444801')]) + [HELLO])
there('x_delete_at')
post('x_delete_at in capitals', fields(more=[('X_Delete_At', ' 4102444802 ')]) + [HELLO])
there('x_delete_at in capitals')
post('x-delete-at, which is nothing', fields(more=[('x-delete-at', '4102444803')]) + [HELLO])
there('x-delete-at, which is nothing')
AT, AFTER = failed('X-Delete-At in past'), failed('X-Delete-After in past')
TIMES = {('at', '1000'): AT, ('at', '-1'): AT, ('after', '-1'): AFTER}
for value in ('x', '', '5.0', '1000', '-1', '9999999999', '4_102_444_804'):
    post('x_delete_at %r' % value, fields(more=[('x_delete_at', value)]) + [HELLO], apus=TIMES.get(('at', value)))
    post('x_delete_after %r' % value, fields(more=[('x_delete_after', value)]) + [file('after', 'x')], apus=TIMES.get(('after', value)))
post('x_delete_at after the file', fields() + [HELLO, field('x_delete_at', 'x')])
post('x_delete_at in a form that is not signed', [field('x_delete_at', 'x'), HELLO])
post('x_delete_at, with an expired form', fields(exp=PAST, more=[('x_delete_at', 'x')]) + [HELLO])

for n, v in (('x-object-sysmeta-a', 'b'), ('x_object_sysmeta_a', 'b'), ('x-timestamp', '200000000.0'), ('x-backend-storage-policy-index', '1'), ('x-object-meta-a', 'b'),
             ('x-object-manifest', 'd/x'), ('x-symlink-target', 'd/x'), ('x-copy-from', 'd/x'), ('etag', 'x'), ('content-length', '99'), ('if-none-match', '*'),
             ('x-auth-token', 'x'), ('content-disposition', 'attachment')):
    post('the field ' + n, fields(more=[(n, v)]) + [HELLO])
    case('what it made', U, 'HEAD', C + '/p-a.txt')
    post('the header %s in the part' % n, fields() + [file('a.txt', 'hello', TXT + n + ': ' + v + '\r\n')])
    case('what it made', U, 'HEAD', C + '/p-a.txt')
    post('the header %s in the request' % n, fields() + [HELLO], headers={n: v} if n != 'content-length' and n != 'x-auth-token' else {})
    case('what it made', U, 'HEAD', C + '/p-a.txt')
def control(name):
    return apus('what is no header is refused; Swift answers 503, or stores it', 'FormPost: %s not a header\'s value' % name, 400)


post('a line end in the type', fields(more=[('content-type', 'text/x\r\nX-Object-Meta-A: b')]) + [HELLO], apus=control('content-type'))
post('a line end in the encoding', fields(more=[('content-encoding', 'gzip\nX-Object-Meta-A: b')]) + [HELLO], apus=control('content-encoding'))
post('a folded type in the part', fields() + [file('a.txt', 'hello', 'Content-Type: a/b\r\n X-Object-Meta-A: b\r\n')])
case('what it made', U, 'HEAD', C + '/p-a.txt', apus=apus('a header is one line', Content_Type='a/b X-Object-Meta-A: b'))
post('a NUL in the type', fields(more=[('content-type', 'a\0b')]) + [HELLO], apus=control('content-type'))
post('a NUL in the name', fields() + [file('a\0b', 'hello')], apus=failed('Invalid UTF8 or contains NULL'))

post('a long field', fields(more=[('comment', 'x' * 20000)]) + [HELLO])
post('a redirect of 4096 bytes', fields(redirect='http://r/' + 'x' * 4087) + [HELLO])
post('a redirect of 4097 bytes', fields(redirect='http://r/' + 'x' * 4088) + [HELLO])
post('a redirect of 4097 bytes, signed as cut', fields(redirect='http://r/' + 'x' * 4087)[1:] + [field('redirect', 'http://r/' + 'x' * 4088), HELLO])
post('a field that is not UTF-8', fields(more=[('comment', '\xff')]) + [HELLO], apus=apus('Swift fails', '201 Created', 201))
post('a redirect of 4097 bytes that is cut in a character', fields(redirect='http://r/')[1:] + [field('redirect', 'x' * 4095 + raw('\u00e9')), HELLO],
     apus=apus('Swift fails', 'FormPost: Invalid Signature', 401, Content_Type='text/html; charset=UTF-8', Www_Authenticate='Swift realm="unknown"'))
post('100 fields', fields(more=[('f%d' % i, 'v') for i in range(100)]) + [HELLO])
post('the same field twice', [field('max_file_size', 1)] + fields() + [HELLO])
post('a field of hyphens', fields(more=[('content-type', 'a/b--')]) + [HELLO])
there('a field of hyphens')

good = fields() + [HELLO]
post('no boundary', good, ctype='multipart/form-data')
post('no type at all', good, ctype='text/plain')
post('an empty boundary', join(good, '', end='----\r\n'), ctype='multipart/form-data; boundary=')
post('an empty boundary in quotes', join(good, '', end='----\r\n'), ctype='multipart/form-data; boundary=""')
post('a boundary in quotes', good, ctype='multipart/form-data; boundary="X"')
post('a boundary with a blank before it', good, ctype='multipart/form-data ;boundary=X')
post('a boundary after a charset', good, ctype='multipart/form-data; charset=utf-8; boundary=X')
post('a boundary after what does not parse', good, ctype='multipart/form-data; a-b=c; boundary=X')
post('the type in capitals', good, ctype='Multipart/Form-Data; boundary=X')
post('BOUNDARY in capitals', good, ctype='multipart/form-data; BOUNDARY=X')
post('multipart/mixed', good, ctype='multipart/mixed; boundary=X')
post('another boundary', good, ctype='multipart/form-data; boundary=Y')
post('a boundary with odd characters', join(good, "a'()+_,-./:=? b", end="--a'()+_,-./:=? b--\r\n"), ctype='multipart/form-data; boundary="a\'()+_,-./:=? b"')
long = 'B' * 300
post('a long boundary', join(good, long, end='--' + long + '--\r\n'), ctype='multipart/form-data; boundary=' + long)
post('a preamble', 'preamble\r\n' + join(good))
post('empty lines first', '\r\n\r\n\r\n' + join(good))
post('a blank first', ' ' + join(good))
post('an epilogue', join(good, end='--X--\r\nepilogue\r\n--X\r\n' + HELLO + '\r\n--X--'))
post('nothing after the end', join(good, end='--X--'))
post('an empty body', '')
post('a body of an end', '--X--\r\n')
post('a body of a start', '--X\r\n')
post('a body of a start without a line end', '--X')
post('line ends without CR', join(good).replace('\r\n', '\n'))
post('a start without CR', '--X\n' + join(good)[5:])
post('a start with a blank', '--X \r\n' + join(good)[5:])
post('a boundary with a blank after it', join(good).replace('\r\n--X\r\n', '\r\n--X  \r\n'))
post('no end', join(good, end=''))
there('no end')
post('no end and no line end', join(good, end='')[:-2])
there('no end and no line end')
post('an end with one hyphen', join(good, end='--X-'))
there('an end with one hyphen')
post('a boundary in the content', fields() + [file('a.txt', 'x\r\n--Y\r\n--x\r\n-X--X\n--X', TXT)])
there('a boundary in the content')
post('a longer boundary in the content', fields() + [file('a.txt', 'x\r\n--XY\r\nz', TXT)])
there('a longer boundary in the content')
post('a boundary in a field', fields(more=[('comment', 'x\r\n--Xy')]) + [HELLO])
post('a boundary in the head', fields() + ['Content-Disposition: form-data; name="file"; filename="cut"\r\n--X--'])
there('a boundary in the head', 'p-cut')
post('a chunked body', good, headers={'Transfer-Encoding': 'chunked'})
there('a chunked body')
post('100-continue', good, headers={'Expect': '100-continue'})
EXPOSED = apus('headers are sorted', Access_Control_Expose_Headers='cache-control, content-language, content-type, etag, expires, last-modified, '
               'pragma, x-openstack-request-id, x-timestamp, x-told, x-trans-id')
post('an allowed origin', good, headers={'Origin': 'http://good.example'}, apus=EXPOSED)
post('an allowed origin, and a redirect', fields(redirect='http://r/') + [HELLO], headers={'Origin': 'http://good.example'}, apus=EXPOSED)
post('another origin', good, headers={'Origin': 'http://bad.example'})
post('a failure for an allowed origin', fields(key='wrong') + [HELLO], headers={'Origin': 'http://good.example'})
case('a preflight', '', 'OPTIONS', C + '/p-', {'Origin': 'http://good.example', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-a'},
     apus=apus('methods are sorted', Access_Control_Allow_Methods='GET, HEAD, PUT, POST, DELETE, OPTIONS, COPY'))
case('a PUT of a form', '', 'PUT', C + '/p-a.txt', {'Content-Type': 'multipart/form-data; boundary=X'}, join(good))
case('a GET with the type', '', 'GET', C + '/p-a.txt', {'Content-Type': 'multipart/form-data; boundary=X'})
case('a quota is set', U, 'POST', C, {'X-Container-Meta-Quota-Bytes': '10'})
post('above the quota', fields() + [file('quota', 'x' * 100)], apus=failed('Upload exceeds quota.'))
case('no quota', U, 'POST', C, {'X-Remove-Container-Meta-Quota-Bytes': 'x'})

for container in (C, A + '/d'):
    c.empty(U, container)
c.send(U, 'DELETE', A)
c.write()
