"""Records what OpenStack Swift answers to visitors of web sites, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users admin:admin (.reseller_admin) and test:tester, the filters domain_remap for example.com,
tempurl and staticweb, and no url_base.
"""
import hashlib
import hmac
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
case = c.case

A = '/v1/AUTH_filters-web'
S = A + '/site'
U = 'admin:admin'
KEY, EXP = 'a key', 4102444800
SCRIPT = '<script>alert(1)</script>'


def get(name, path, method='GET', user='', apus=None, **headers):
    case(name, user, method, path, {k.replace('_', '-'): v for k, v in headers.items()}, apus=apus)


def looks(name, container=S, **meta):
    """Sets what a container looks like; what is not named is taken away."""
    known = ('index', 'error', 'listings', 'listings-css', 'listings-label', 'directory-type')
    headers = {'X-Container-Meta-Web-' + k: meta.get(k.replace('-', '_'), '') for k in known}
    if 'read' in meta:
        headers['X-Container-Read'] = meta['read']
    case(name, U, 'POST', container, headers)


def put(name, kind, body='', **headers):
    case('an object', U, 'PUT', S + '/' + urllib.parse.quote(name), {'Content-Type': kind, **headers}, body)


HEAD_500 = "Swift's own server fails on a HEAD that has a body"

c.empty(U, S)
case('the account is made', U, 'POST', A, {'X-Account-Meta-Temp-URL-Key': KEY})
case('a container is made', U, 'PUT', S, {'X-Container-Read': '.r:*,.rlistings'})
get('a container that is no site is a listing', S)
get('which the web mode does not show', S, X_Web_Mode='true')
get('nor to a user', S, user=U, X_Web_Mode='true')
get('an object of it', S + '/nothing')
looks('an error page alone makes no site', error='error.html')
put('404error.html', 'text/html', '<h1>gone</h1>', **{'X-Object-Meta-A': 'b'})
put('401error.html', 'text/html', '<h1>no</h1>')
get('so there is no error page', S + '/nothing')
looks('listings', listings='true')
get('a container without a slash', S)
get('asked for its head', S, method='HEAD')
get('with a query', S + '?a=b&limit=1')
get('at a host', S, Host='www.example.org')
get('at a host with the usual port', S, Host='www.example.org:80')
get('at a host with another port', S, Host='www.example.org:81')
for name, kind, body in (
        ('a.txt', 'text/plain; charset=UTF-8', 'x' * 1536), ('dir/', 'application/directory', ''), ('dir/b', 'a/b', 'b'),
        ('dir/sub dir%/c', 'text/plain', 'c'), ('other/d', 'text/plain', 'd'), ('marked', 'application/directory', ''),
        (SCRIPT, 'text/html"><script>', 'e'), ('"onclick=\'x\'&amp;', 'text/plain', 'f'), ('javascript:alert(1)', 'text/plain', 'g'),
        ('\u00e9\u4e2d\U0001f600', 'text/plain', 'h' * 1024), ('long', 'Text/PLAIN', 'i' * 2560), ('web/index.html', 'text/html', '<h1>index</h1>'),
        ('two?#/x', 'text/plain', 'j')):
    put(name, kind, body)
get('a listing', S + '/')
get('its length', S + '/', method='HEAD')
get('with a query', S + '/?format=json&prefix=a&limit=1')
get('a user sees the listing of the API', S + '/?prefix=dir/&format=plain', user=U)
get('unless he wants what others see', S + '/dir/', user=U, X_Web_Mode='on')
get('no is no', S + '/?prefix=dir/&format=plain', user=U, X_Web_Mode='no')
get('an object', S + '/a.txt', Range='bytes=0-9')
get('the head of an object', S + '/a.txt', method='HEAD')
get('a directory without a slash', S + '/dir')
get('asked for its head', S + '/dir', method='HEAD')
get('a directory', S + '/dir/')
get('a directory that no object stands for', S + '/other/')
get('without a slash', S + '/other')
get('an odd name without a slash', S + '/dir/sub%20dir%25')
get('an odd name', S + '/dir/sub%20dir%25/')
get('signs of a query in a name', S + '/two%3F%23/')
get('an empty object that stands for nothing', S + '/marked')
get('what is not there', S + '/nothing')
get('asked for its head', S + '/nothing', method='HEAD')
get('a directory that is not there', S + '/nothing/')
get('the beginning of a name', S + '/di')
get('a hostile name that is not there', S + '/' + urllib.parse.quote(SCRIPT) + '/')
case('a write is none of the filter\'s business', '', 'PUT', S + '/a', {}, 'x')
get('a container that is not there', A + '/nothing/')
get('nor for a user', A + '/nothing/', user=U, X_Web_Mode='true')
looks('a label', listings='true', listings_label='<i>All</i> & "more"')
get('a listing with a label', S + '/dir/')
looks('a style sheet of the container', listings='true', listings_css='css/"odd" name.css')
get('a listing with it', S + '/')
get('from a directory', S + '/dir/sub%20dir%25/')
for css in ('http://www.example.org:81/a b.css?x="y"', '//www.example.org/a.css', '/v1/a/c/o.css', 'javascript:alert(1)'):
    looks('a style sheet elsewhere', listings='true', listings_css=css)
    get('a listing with it', S + '/dir/')
looks('an index', index='index.html')
get('an index', S + '/web/')
get('the head of an index', S + '/web/', method='HEAD')
get('part of an index', S + '/web/', Range='bytes=4-8')
get('an index that has not changed', S + '/web/', If_None_Match='*')
get('an index without a slash', S + '/web')
get('no index at the top, and no listing', S + '/')
get('no index in a directory, and no listing', S + '/dir/')
get('asked for its head', S + '/', method='HEAD')
put('index.html', 'text/html', '<h1>top</h1>')
put('dir/index.html', 'text/html', '<h1>dir</h1>')
get('an index at the top', S + '/')
get('instead of an object that stands for the directory', S + '/dir/')
get('although that is older than what is asked for', S + '/dir/', If_Modified_Since='Fri, 01 Jan 2100 00:00:00 GMT')
get('but a range is taken for the object\'s', S + '/dir/', Range='bytes=1-2')
get('a condition that the top\'s index does not meet', S + '/', If_Match='nothing')
get('a condition that a directory\'s index does not meet', S + '/web/', If_Match='nothing',
    apus={'why': 'Swift fails', 'status': 412, 'text': '', 'answer': {
        'Content-Type': 'text/html; charset=UTF-8', 'Content-Length': '0', 'Etag': '5aff436637514c6691d075b6d65f8f68',
        'Last-Modified': '{date}', 'X-Timestamp': '{timestamp}'}})
looks('a hostile index, and listings that are off', index=SCRIPT + '/x', listings='no')
get('no listing', S + '/')
looks('another type for directories', index='index.html', directory_type='text/html')
get('an index is longer than what stands for a directory', S + '/dir/')
get('an empty object stands for itself', S + '/marked')
looks('error pages', index='index.html', listings='true', error='error.html')
get('an error page', S + '/nothing')
get('its head', S + '/nothing', method='HEAD',
    apus={'why': HEAD_500, 'status': 404, 'answer': {'Content-Type': 'text/html', 'Content-Length': '13', 'Etag': 'b078de5d4fc4d2dde532414d7e1fb884',
          'Last-Modified': '{date}', 'X-Timestamp': '{timestamp}', 'Accept-Ranges': 'bytes', 'X-Object-Meta-A': 'b'}})
get('of a directory', S + '/nothing/')
get('whatever else is asked', S + '/nothing', Range='bytes=0-1', If_None_Match='*')
get('the page itself', S + '/404error.html', Range='bytes=0-1')
get('an error that is none', S + '/a.txt', Range='bytes=9999-')
looks('listings that nobody may read', listings='true', error='error.html', read='.r:*')
get('an error page for the top', S + '/')
get('and for a directory', S + '/other/')
get('a directory is not there then', S + '/other')
get('an object is', S + '/a.txt', Range='bytes=0-1')
get('a user may read them', S + '/other/', user=U, X_Web_Mode='yes')
get('another user may not', S + '/other/', user='test:tester', X_Web_Mode='yes')
looks('no error page', listings='true')
get('the top without an error page', S + '/')
looks('a site that nobody may read', listings='true', index='index.html', error='error.html', read='')
get('the error page is not for everybody either', S + '/')
get('nor is that of an object', S + '/nothing')
get('nor an index', S + '/dir/')
get('nor a redirect', S + '/dir')
get('nor one to the top', S)
looks('a site for who comes from one', listings='true', read='.r:www.example.com,.rlistings')
get('who comes from there', S + '/other/', Referer='http://www.example.com/x')
get('who does not', S + '/other/', Referer='http://www.example.org/x')
looks('a site again', listings='true', listings_css='list.css', read='.r:*,.rlistings')
get('the account in the host', '/site', Host='AUTH_filters-web.example.com')
get('a directory there', '/site/dir', Host='AUTH_filters-web.example.com')
get('its listing', '/site/other/', Host='AUTH_filters-web.example.com')
get('the container in the host', '/dir', Host='site.AUTH_filters-web.example.com')
get('its listing', '/other/', Host='site.AUTH_filters-web.example.com')
get('what is not there', '/nothing', Host='site.AUTH_filters-web.example.com')
get('who takes no HTML', S + '/', Accept='image/png')
get('who does', S + '/other/', Accept='image/png')


def signed(path, prefix, more=''):
    text = 'GET\n%d\nprefix:%s/%s' % (EXP, S, prefix)
    sig = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
    return S + path + '?temp_url_sig=%s&temp_url_expires=%d&temp_url_prefix=%s' % (sig, EXP, urllib.parse.quote(prefix, safe='')) + more


def links(prefix):
    q = dict(p.split('=') for p in signed('', prefix).split('?')[1].split('&'))
    return '?temp_url_prefix=%(temp_url_prefix)s&temp_url_expires=%(temp_url_expires)s&temp_url_sig=%(temp_url_sig)s' % q


looks('a site for nobody without a signature', listings='true', index='index.html', read='')
get('an object by a signed URL', signed('/dir/b', 'dir/'))
get('a directory outside of the prefix', signed('/other/', 'dir/'))
NEWER = 'newer releases of Swift make sites of what signed URLs reach'
DIRECTORY = S + '/dir/sub dir%/'
get('a directory by a signed URL', signed('/dir/sub%20dir%25/', 'dir/'), apus={'why': NEWER, 'status': 200, 'answer': {
    'Content-Type': 'text/html; charset=UTF-8', 'Content-Length': '{length}', 'Expires': 'Fri, 01 Jan 2100 00:00:00 GMT',
    'Content-Disposition': 'inline'}, 'text': '\n'.join((
        'Listing of ' + DIRECTORY, 'Listing of ' + DIRECTORY, 'colname | Name', 'colsize | Size', 'coldate | Date',
        'id="parent" class="item" | ../%s | ../ |  | ' % links('dir/'),
        'class="item type-text type-plain" | c%s | c | 1 | {date}' % links('dir/')))})
get('the top', signed('/', ''), apus={'why': NEWER, 'status': 200, 'answer': {
    'Content-Type': 'text/html', 'Content-Length': '12', 'Vary': 'Accept', 'Expires': 'Fri, 01 Jan 2100 00:00:00 GMT',
    'Content-Disposition': 'inline', 'Etag': '520f4492e94b415a3f53588af9a87154', 'Last-Modified': '{date}',
    'X-Timestamp': '{timestamp}', 'Accept-Ranges': 'bytes', 'Www-Authenticate': None}, 'text': '<h1>top</h1>'})
get('the top with a signature for another prefix', signed('/', 'dir/'))
looks('a container that is no site')
get('is not listed by a signed URL', signed('/', ''))
get('nor without a slash', signed('', ''))
c.write()
