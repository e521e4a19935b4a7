"""Records what OpenStack Swift answers to requests with signed URLs, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin) and admin:admin (.reseller_admin), and the filter tempurl with all
digests. It must be asked from 127.0.0.1. The account AUTH_filtersc-temp must
never have been there; it is made and removed.
"""
import base64
import hmac
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
case = c.case

A = '/v1/AUTH_filtersc-temp'
C, O = A + '/c', A + '/c/dir/o'
EXP, PAST = 4102444800, 1000000000
U = 'admin:admin'
AK, AK2, CK, CK2 = 'account key', 'account-key-2', 'container+key', 'k\u00e9y'


def sign(method, path, key, exp=EXP, algo='sha256', ip=None, form='hex'):
    text = '%s\n%s\n%s' % (method, exp, path)
    if ip:
        text = 'ip=%s\n%s' % (ip, text)
    mac = hmac.new(key.encode(), text.encode(), algo)
    if form == 'hex':
        return mac.hexdigest()
    b = base64.standard_b64encode if form == 'std' else base64.urlsafe_b64encode
    return algo + ':' + b(mac.digest()).decode()


def url(path, key, method='GET', exp=EXP, algo='sha256', ip=None, form='hex', show=None, signed=None, more='', target=None):
    sig = sign(method, signed or path, key, exp, algo, ip, form)
    q = '?temp_url_sig=%s&temp_url_expires=%s' % (urllib.parse.quote(sig), show or exp)
    if ip:
        q += '&temp_url_ip_range=' + urllib.parse.quote(ip)
    return (target or urllib.parse.quote(path)) + q + more


def get(name, *a, **kw):
    method = kw.pop('do', 'GET')
    headers, body = kw.pop('headers', None), kw.pop('body', '')
    case(name, kw.pop('user', ''), method, url(*a, **kw), headers, body)


def pre(path, prefix, **kw):
    return dict(signed='prefix:' + C + '/' + prefix, more='&temp_url_prefix=' + urllib.parse.quote(prefix, safe=''), **kw)


case('the account is made', U, 'PUT', A, {'X-Account-Meta-Temp-URL-Key': AK, 'X-Account-Meta-Temp-URL-Key-2': AK2})
case('a container is made', U, 'PUT', C, {'X-Container-Meta-Temp-URL-Key': CK, 'X-Container-Meta-Temp-URL-Key-2': CK2})
case('another container', U, 'PUT', A + '/d', {'X-Container-Meta-Temp-URL-Key': 'other'})
case('an object', U, 'PUT', O, {'X-Object-Meta-Color': 'blue', 'X-Object-Meta-Public-Size': 'large'}, 'content')
case('one with a disposition', U, 'PUT', C + '/shown', {'Content-Disposition': 'inline; filename="x"'}, 'shown')
case('one in the other', U, 'PUT', A + '/d/o', body='other')
case('one with odd characters', U, 'PUT', C + '/' + urllib.parse.quote('a b"?%\u00e9\nz'), body='odd')
case('nothing', '', 'GET', O)
for key in (AK, AK2, CK, CK2):
    get('with the key ' + key, O, key)
for algo in ('sha1', 'sha256', 'sha512'):
    for form in ('hex', 'std', 'url'):
        get('%s %s' % (algo, form), O, AK, algo=algo, form=form)
get('base64 without padding', O, AK, form='url', target=None)
case('another digest', '', 'GET', url(O, AK, algo='md5', form='std'))
case('a digest by another\'s name', '', 'GET', url(O, AK, form='std').replace('sha256', 'sha512'))
case('hex in capitals', '', 'GET', url(O, AK).replace(sign('GET', O, AK), sign('GET', O, AK).upper()))
case('half a signature', '', 'GET', url(O, AK).replace(sign('GET', O, AK), sign('GET', O, AK)[:40]))
get('a wrong key', O, 'wrong')
get('the other container\'s key', O, 'other')
get('this container\'s key for the other', A + '/d/o', CK)
get('an account key for the other', A + '/d/o', AK)
get('another object', O + 'x', AK, signed=O)
get('an object that is missing', C + '/missing', AK)
get('a container that is missing', A + '/missing/o', AK)
get('an account that is missing', '/v1/AUTH_filtersc-none/c/o', AK)
get('signed for a container', C, AK)
get('a container with a slash', C + '/', AK)
get('slashes alone', C + '///', AK)
get('signed for an account', A, AK)
get('another version', '/v1.0' + O[3:], AK)
get('another version, signed as v1', '/v1.0' + O[3:], AK, signed=O)
get('expired', O, AK, exp=PAST)
get('expires as a date', O, AK, show='2100-01-01T00:00:00Z')
get('a date without zeros', O, AK, show='2100-1-1T0:0:0Z')
get('a date in the past', O, AK, exp=PAST, show='2001-09-09T01:46:40Z')
get('a date of another zone', O, AK, show='2100-01-01T00:00:00%2B00:00')
get('a date with a fraction', O, AK, show='2100-01-01T00:00:00.0Z')
get('a number with blanks', O, AK, show='%204102444800%20')
get('a number with a sign', O, AK, show='%2B4102444800')
get('a number with zeros', O, AK, show='0004102444800')
get('a fraction', O, AK, show='4102444800.0')
get('another time', O, AK, show='4102444801')
case('no signature', '', 'GET', O + '?temp_url_expires=%d' % EXP)
case('an empty signature', '', 'GET', O + '?temp_url_sig=&temp_url_expires=%d' % EXP)
case('no time', '', 'GET', O + '?temp_url_sig=' + sign('GET', O, AK))
case('an empty time', '', 'GET', O + '?temp_url_expires=&temp_url_sig=' + sign('GET', O, AK))
case('a prefix alone', '', 'GET', O + '?temp_url_prefix=')
case('twice, the first good', '', 'GET', url(O, AK) + '&temp_url_sig=x&temp_url_expires=1')
case('twice, the first bad', '', 'GET', url(O, AK).replace('?', '?temp_url_sig=' + '0' * 64 + '&'))
case('names in escapes', '', 'GET', url(O, AK).replace('temp_url_sig', '%74emp%5Furl_sig'))
case('with semicolons', '', 'GET', url(O, AK).replace('&', ';'))
for do, m in (('HEAD', 'HEAD'), ('HEAD', 'GET'), ('HEAD', 'PUT'), ('HEAD', 'POST'), ('HEAD', 'DELETE'), ('GET', 'HEAD'), ('GET', 'PUT'), ('PUT', 'GET'), ('POST', 'PUT'), ('DELETE', 'PUT'), ('PUT', 'POST'), ('OPTIONS', 'GET'), ('COPY', 'COPY')):
    get('%s with the signature of %s' % (do, m), O, AK, do=do, method=m)
get('PUT', C + '/new', AK, do='PUT', method='PUT', body='new')
get('it is there', C + '/new', AK)
get('PUT with the container\'s key', C + '/new', CK, do='PUT', method='PUT', body='newer')
get('POST', C + '/new', CK, do='POST', method='POST', headers={'X-Object-Meta-Public-A': 'b'})
get('its metadata', C + '/new', CK, do='HEAD', method='HEAD')
get('DELETE', C + '/new', CK, do='DELETE', method='DELETE')
get('it is gone', C + '/new', CK)
for h in ('X-Object-Manifest', 'x-symlink-target', 'X_Object_Manifest', 'X-Copy-From'):
    get('PUT with ' + h, C + '/new', AK, do='PUT', method='PUT', headers={h: 'd/o'}, body='')
    get('GET with ' + h, O, AK, headers={h: 'd/o'})
get('PUT with a wrong key and a header', C + '/new', 'wrong', do='PUT', method='PUT', headers={'X-Object-Manifest': 'd/o'})
get('the rest of the query', O, AK, more='&multipart-manifest=get&format=json')
get('a file name', O, AK, more='&filename=a%20b%22%25%C3%A9%2F.txt')
get('an empty file name', O, AK, more='&filename=')
get('a file name of two lines', O, AK, more='&filename=a%0Ab%0D')
get('inline', O, AK, more='&inline')
get('inline with a name', O, AK, more='&inline=no&filename=x')
get('inline, not', O, AK, more='&inlined')
get('a disposition of its own', C + '/shown', AK)
get('a disposition of its own, and inline', C + '/shown', AK, more='&inline')
get('a disposition of its own, and a name', C + '/shown', AK, more='&filename=y')
get('odd characters', C + '/a b"?%\u00e9\nz', AK)
get('a range', O, AK, headers={'Range': 'bytes=0-1'})
get('not modified', O, AK, headers={'If-None-Match': '*'})
get('a range beyond', O, AK, headers={'Range': 'bytes=99-'})
for prefix in ('dir/', 'dir/o', 'd', '', 'dir/ox', 'c/', '/', 'dir'):
    get('the prefix %r' % prefix, O, AK, **pre(O, prefix))
get('a prefix with the container\'s key', O, CK, **pre(O, 'dir'))
get('a prefix for another container', A + '/d/o', AK, **pre(O, ''))
get('a prefix signed as an object', O, AK, signed=O, more='&temp_url_prefix=dir')
get('a prefix that was not signed', O, AK, signed=C + '/dir', more='&temp_url_prefix=dir')
get('a longer prefix than signed', O, AK, signed='prefix:' + C + '/d', more='&temp_url_prefix=dir')
get('a prefix for PUT', C + '/dir/p', AK, do='PUT', **pre(O, 'dir/', method='PUT'))
get('and for DELETE', C + '/dir/p', AK, do='DELETE', **pre(O, 'dir/', method='DELETE'))
for ip in ('127.0.0.1', '127.0.0.0/8', '127.0.0.1/32', '127.0.0.1/8', '10.0.0.0/8', '0.0.0.0/0', '127.0.0.0/255.0.0.0', '127.0.0.0/0.255.255.255',
           '127.0.0.1/255.255.255.255', '127.0.0.0/255.0.255.0', '127.0.0.0/33', '127.0.0.0/', '127.0.0', '::1', '::/0', '::ffff:127.0.0.1', '127.0.0.1,10.0.0.1', ' 127.0.0.1', '127.0.0.1/032', 'localhost', '127.0.0.0/+8'):
    get('the range ' + ip, O, AK, ip=ip)
get('an empty range', O, AK, more='&temp_url_ip_range=')
get('a range that was not signed', O, AK, more='&temp_url_ip_range=127.0.0.1')
case('a signed range left out', '', 'GET', url(O, AK, ip='127.0.0.1').replace('&temp_url_ip_range=127.0.0.1', ''))
get('a range smuggled into the path', C + '/o\n127.0.0.1', AK)
get('a token does not matter', O, AK, user='test:tester')
get('a bad signature with a token', O, 'wrong', user=U)
for name in ('dir/o', 'shown', urllib.parse.quote('a b"?%\u00e9\nz')):
    case('cleaning up: ' + name, U, 'DELETE', C + '/' + name)
case('cleaning up: d/o', U, 'DELETE', A + '/d/o')
case('cleaning up: c', U, 'DELETE', C)
case('cleaning up: d', U, 'DELETE', A + '/d')
c.send(U, 'DELETE', A)
c.write()
