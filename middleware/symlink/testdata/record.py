"""Records what OpenStack Swift answers to requests about symbolic links, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin), test:tester3 and test2:tester2 (.admin), and the filters symlink,
slo, dlo and copy. Containers of AUTH_test and AUTH_test2 whose names begin with link- are made and removed.
"""
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, USER, OTHER, A, A2 = 'test:tester', 'test:tester3', 'test2:tester2', '/v1/AUTH_test', '/v1/AUTH_test2'
L, O, P, X = A + '/link-links', A + '/link-targets', A + '/link-private', A2 + '/link-other'
H, ACCOUNT, ETAG, GET = 'X-Symlink-Target', 'X-Symlink-Target-Account', 'X-Symlink-Target-Etag', '?symlink=get'
CONTAINERS = ((T, L), (T, O), (T, P), (OTHER, X))


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def case(name, method, path, headers=None, body='', user=T, **kw):
    return c.case(name, user, method, path, headers, body, **kw)


def looks(name, path, headers=None, **kw):
    case('GET: ' + name, 'GET', path, headers, **kw)
    case('HEAD: ' + name, 'HEAD', path, headers, **kw)


def link(name, to, target, headers=None, **kw):
    return case(name, 'PUT', L + '/' + to, dict(headers or {}, **{H: target}), **kw)


for user, path in CONTAINERS:
    c.empty(user, path)
for user, path in CONTAINERS:
    case('a container: ' + path, 'PUT', path, user=user)
case('links can be read', 'POST', L, {'X-Container-Read': USER})
case('targets too', 'POST', O, {'X-Container-Read': USER})
case('a target', 'PUT', O + '/o', {'Content-Type': 'text/x-target', 'X-Object-Meta-Color': 'blue', 'Content-Encoding': 'identity'}, 'content')
case('a target with an odd name', 'PUT', O + '/odd%20%2525%C3%A9', body='odd')
case('a private target', 'PUT', P + '/o', body='private')
case('a target of another account', 'PUT', X + '/o', body='other', user=OTHER)

# What is refused.
for value in ('link-targets', 'link-targets/', '/link-targets/o', '', '/', '//', 'link-targets//o', 'link-links/refused', 'link-links%2Frefused', 'link-targets?x/o', 'link-targets/%00', 'link-targets/%FF'):
    link('a link to %r' % value, 'refused', value)
case('it is as it was', 'HEAD', L + '/refused' + GET)
for account in ('AUTH_test2', 'AUTH_test2/x', '', '/', 'AUTH%5Ftest', 'nobody', 'AUTH_test%2Fx'):
    link('a link to the account %r' % account, 'account', 'link-other/o', {ACCOUNT: account})
    case('where it goes', 'HEAD', L + '/account' + GET)
case('an account alone', 'PUT', L + '/plain', {ACCOUNT: 'AUTH_test2'})
case('an ETag alone', 'PUT', L + '/plain', {ETAG: 'x'})
case('it is plain', 'HEAD', L + '/plain' + GET)
link('a link with a body', 'refused', 'link-targets/o', body='body')
link('a link with a body of unknown length', 'refused', 'link-targets/o', body='body', chunked=True)
link('an empty body of unknown length', 'chunked', 'link-targets/o', chunked=True)
case('a link by POST', 'POST', O + '/o', {H: 'link-targets/x'})
case('the account of a link by POST', 'POST', O + '/o', {ACCOUNT: 'x'})
case('a container that is a link', 'PUT', L, {H: 'link-targets/o'})
case('a link in a missing container', 'PUT', A + '/link-none/l', {H: 'link-targets/o'})
link('by one who may only read', 'refused', 'link-targets/o', user=USER)
link('a link that is copied', 'refused', 'link-targets/o', {'X-Copy-From': 'link-targets/o'})
for value in ('x', 'a;b', 'a"b', 'a\\b', '"%s"' % md5('content'), '', md5('other')):
    link('a static link to %r' % value, 'static', 'link-targets/o', {ETAG: value})
link('a static link to nothing', 'static', 'link-targets/none', {ETAG: md5('content')})
link('a static link to a missing container', 'static', 'link-none/o', {ETAG: md5('content')})
link('a link with an ETag', 'tagged', 'link-targets/o', {'ETag': md5('')})
link('a link with a wrong ETag', 'tagged', 'link-targets/o', {'ETag': md5('content')})
link('If-None-Match of what is there', 'tagged', 'link-targets/o', {'If-None-Match': '*'})

# What is read.
link('a link', 'l', 'link-targets/o', {'X-Object-Meta-Shape': 'round'})
link('a link with a type', 'typed', 'link-targets/o', {'Content-Type': 'text/x-link'})
link('a static link', 's', 'link-targets/o', {ETAG: md5('content')})
link('a static link with a type', 's2', 'link-targets/o', {ETAG: md5('content'), 'Content-Type': 'text/x-link'})
link('a link to an odd name', 'odd', 'link-targets/odd%20%2525%C3%A9')
link('a link to an odd name, unquoted', 'odd2', 'link-targets/odd %2525é')
link('a link to nothing', 'none', 'link-targets/none')
link('a link to a missing container', 'none2', 'link-none/o')
link('a link to what is private', 'private', 'link-private/o')
link('a link to a link', 'l2', 'link-links/l')
link('a link to a link to a link', 'l3', 'link-links/l2')
link('too many links', 'l4', 'link-links/l3')
link('a static link to a link', 'sl', 'link-links/l', {ETAG: md5('')})
link('a static link to a static link', 'ss', 'link-links/s', {ETAG: md5('content')})
link('a static link to a static link, of the link', 'ss', 'link-links/s', {ETAG: md5('')})
link('a loop', 'loop', 'link-links/loop2')
link('the loop', 'loop2', 'link-links/loop')
link('a link to another account', 'other', 'link-other/o', {ACCOUNT: 'AUTH_test2'})
link('a link to another account that is the same', 'same', 'link-targets/o', {ACCOUNT: 'AUTH_test'})
NAMES = ('l', 'typed', 's', 's2', 'odd', 'odd2', 'none', 'none2', 'private', 'l2', 'l3', 'l4', 'sl', 'ss', 'loop', 'other', 'same', 'chunked')
for name in NAMES:
    looks(name, L + '/' + name)
    looks(name + ' itself', L + '/' + name + GET)
looks('another word for the query', L + '/l?symlink=yes')
looks('the word in capitals', L + '/l?symlink=GET')
looks('what is no link', O + '/o' + GET)
looks('what is missing', L + '/missing' + GET)
case('the listing as JSON', 'GET', L + '?format=json')
case('the listing as XML', 'GET', L + '?format=xml&prefix=s')
case('the listing as text', 'GET', L)
case('the container', 'HEAD', L)

# Parts and conditions.
case('when the link was made', 'HEAD', L + '/l' + GET, capture={'l_date': 'header:Last-Modified'})
case('when the target was made', 'HEAD', L + '/l', capture={'date': 'header:Last-Modified'})
for headers in ({'Range': 'bytes=1-2'}, {'Range': 'bytes=99-'}, {'Range': 'bytes=0-0,2-3'}, {'If-Match': md5('content')}, {'If-Match': md5('')}, {'If-None-Match': md5('content')},
                {'If-None-Match': md5('')}, {'If-None-Match': '*'}, {'If-Modified-Since': '{date}'}, {'If-Modified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT'},
                {'If-Unmodified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT'}):
    for name in ('l', 's', 'l2'):
        case('%s: %r' % (name, headers), 'GET', L + '/' + name, headers)
    headers = {k: v.replace('{date}', '{l_date}') for k, v in headers.items()}
    case('itself: %r' % headers, 'GET', L + '/l' + GET, headers)
case('HEAD with a condition', 'HEAD', L + '/l', {'If-None-Match': md5('content')})

# Who may read.
looks('one who may read both', L + '/l', user=USER)
looks('one who may read the link alone', L + '/private', user=USER)
looks('the link, to one who may read it alone', L + '/private' + GET, user=USER)
looks('one of the account', L + '/other', user=USER)
looks('anybody', L + '/l', user='')
case('the other account lets in', 'POST', X, {'X-Container-Read': 'test:tester'}, user=OTHER)
looks('one who is let in', L + '/other')
case('the owner of the target, by the link', 'GET', L + '/other', user=OTHER)

# Writing.
case('POST to a link', 'POST', L + '/l', {'X-Object-Meta-Shape': 'square'})
case('POST to a link with a query', 'POST', L + '/l?x=y', {'X-Object-Meta-Shape': 'square'})
case('POST to a link itself', 'POST', L + '/l' + GET, {'X-Object-Meta-Shape': 'flat'})
case('POST to a static link', 'POST', L + '/s', {'X-Object-Meta-Shape': 'square'})
case('POST to a link to a link', 'POST', L + '/l2', {'X-Object-Meta-Shape': 'square'})
case('POST to a link to another account', 'POST', L + '/other', {'X-Object-Meta-Shape': 'square'})
case('POST to a link to an odd name', 'POST', L + '/odd')
case('POST to a link to nothing', 'POST', L + '/none')
case('POST to a link with a type', 'POST', L + '/typed', {'Content-Type': 'text/x-new'})
case('POST to a link by one who may not', 'POST', L + '/l', user=USER)
case('POST of a target', 'POST', L + '/l', {H: 'link-targets/x'})
looks('the target', O + '/o')
for name in ('l', 's', 'typed'):
    looks('what became of it: ' + name, L + '/' + name + GET)
case('a link over a link', 'PUT', L + '/l2', {H: 'link-targets/odd%20%2525%C3%A9'})
case('it goes elsewhere', 'GET', L + '/l2')
case('an object over a link', 'PUT', L + '/l2', body='plain')
case('it is plain', 'GET', L + '/l2' + GET)
case('DELETE of a link', 'DELETE', L + '/typed')
case('the target is there', 'GET', O + '/o')
case('OPTIONS of a link', 'OPTIONS', L + '/l')

# Copies.
case('a copy of a link is the target', 'COPY', L + '/l', {'Destination': 'link-links/copy'})
looks('the copy', L + '/copy' + GET)
case('a copy of the link', 'COPY', L + '/l' + GET, {'Destination': 'link-links/copy'})
looks('the copied link', L + '/copy' + GET)
looks('through it', L + '/copy')
case('a copy of a static link', 'COPY', L + '/s' + GET, {'Destination': 'link-links/copy'})
looks('the copied static link', L + '/copy' + GET)
case('a copy of a link to nothing', 'COPY', L + '/none', {'Destination': 'link-links/copy'})
case('a copy of a link by PUT', 'PUT', L + '/copy' + GET, {'X-Copy-From': 'link-links/l'})
looks('the link copied by PUT', L + '/copy' + GET)
case('a copy of a link to another account', 'COPY', L + '/l' + GET, {'Destination': 'link-other/copy', 'Destination-Account': 'AUTH_test2'}, user='admin:admin')
looks('where it goes from there', X + '/copy' + GET, user=OTHER)
case('a copy of a part', 'COPY', L + '/l', {'Destination': 'link-links/copy', 'Range': 'bytes=1-2'})
case('it is the part', 'GET', L + '/copy')

# Targets that change, and large ones.
case('the target changes', 'PUT', O + '/o', body='changed!')
looks('a link to it', L + '/l')
looks('a static link to it', L + '/s')
looks('a static link to a static link to it', L + '/ss')
case('a condition on a static link to it', 'GET', L + '/s', {'If-Match': md5('content')})
case('the target goes', 'DELETE', O + '/o')
looks('a link to what went', L + '/l')
looks('a static link to what went', L + '/s')
case('a segment', 'PUT', O + '/seg', body='segment')
case('another', 'PUT', O + '/seg2', body='segment')
case('a large object', 'PUT', O + '/slo?multipart-manifest=put', body=json.dumps([{'path': '/link-targets/seg'}, {'path': '/link-targets/seg2'}]))
case('its own ETag', 'HEAD', O + '/slo?multipart-manifest=get', capture={'manifest': 'header:ETag'})
link('a link to a large object', 'slo', 'link-targets/slo')
link('a static link to a large object', 'slos', 'link-targets/slo', {ETAG: '{manifest}'})
link('a static link to it by the other ETag', 'slos2', 'link-targets/slo', {ETAG: md5(md5('segment') * 2)})
for name in ('slo', 'slos'):
    looks(name, L + '/' + name)
    looks(name + ' itself', L + '/' + name + GET)
    case(name + ', as a list', 'GET', L + '/' + name + '?multipart-manifest=get')
case('a dynamic large object', 'PUT', O + '/dlo', {'X-Object-Manifest': 'link-targets/seg2'})
link('a link to it', 'dlo', 'link-targets/dlo')
looks('dlo', L + '/dlo')
looks('dlo itself', L + '/dlo' + GET)
case('the listing of large ones', 'GET', L + '?format=json&prefix=slo')
case('a link that is a large object', 'PUT', L + '/both?multipart-manifest=put', {H: 'link-targets/seg'}, json.dumps([{'path': '/link-targets/seg'}]))
case('deleting a large object through a link', 'DELETE', L + '/slo?multipart-manifest=delete')
case('what is left', 'GET', O)
for user, path in CONTAINERS:
    c.empty(user, path)
c.write()
