"""Records what OpenStack Swift answers to requests for listings, in order, for conversation.json. (swift.json has what
its filter made of given pages.)

    python3 record.py http://HOST:PORT > conversation.json

The server must have tempauth's users admin:admin (.reseller_admin) and test:tester (.admin), two policies, and the filter
listing_formats. An account is made and removed.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
U, A = 'admin:admin', '/v1/AUTH_{fresh}'
C, E = A + '/c', A + '/empty'
ODD = "o%3C%26%22'%3E%20%0A%09%C3%A9%25"


def case(name, method, path, headers=None, body='', user=U, **kw):
    return c.case(name, user, method, path, headers, body, **kw)


case('an account', 'PUT', A)
case('it is empty', 'GET', A)
case('it is empty in JSON', 'GET', A + '?format=json')
case('it is empty in XML', 'GET', A + '?format=xml')
for path in (C, E, A + '/' + ODD):
    case('a container: ' + path, 'PUT', path)
case('a container of the other policy', 'PUT', A + '/silver', {'X-Storage-Policy': 'silver'})
for name, kind in (('a', 'text/plain'), ('b/1', 'text/plain; charset=utf-8'), ('b/2', 'text/<x>'), (ODD, 'image/png'), ('z', 'application/"x"')):
    case('an object: ' + name, 'PUT', C + '/' + name, {'Content-Type': kind}, name)

FORMATS = ('', 'format=plain', 'format=json', 'format=xml', 'format=XML', 'format=nonsense', 'format=', 'format=%FF', 'format=json&format=xml')
ACCEPTS = ('*/*', 'text/plain', 'application/json', 'application/xml', 'text/xml', 'image/png', 'text/*', 'application/*', '', 'nonsense', '&', 'text/plain;q=0.5,application/json', 'application/json;q=0.2,text/xml;q=0.3',
           'application/json;q=0', 'application/json;q=x', 'text/plain;charset=utf-8', 'text/html, */*;q=0.1', 'APPLICATION/JSON', 'application/json, image/png', '*/json')
for what, path in (('an account', A), ('a container', C), ('an empty container', E)):
    for query in FORMATS:
        for method in ('GET', 'HEAD'):
            case('%s %s: %s' % (method, what, query), method, path + '?' + query)
for what, path in (('an account', A), ('a container', C)):
    for accept in ACCEPTS:
        case('%s: Accept %r' % (what, accept), 'GET', path, {'Accept': accept})
for accept in ('application/json', 'image/png', '&'):
    case('HEAD: Accept %r' % accept, 'HEAD', C, {'Accept': accept})
    case('a format before Accept %r' % accept, 'GET', C + '?format=xml', {'Accept': accept})
    case('an object: Accept %r' % accept, 'GET', C + '/a', {'Accept': accept})
    case('nothing there: Accept %r' % accept, 'GET', A + '/none', {'Accept': accept})
    case('nobody: Accept %r' % accept, 'GET', C, {'Accept': accept}, user='')
    case('a POST: Accept %r' % accept, 'POST', C, {'Accept': accept})
for query in ('delimiter=/', 'prefix=b/', 'prefix=b&delimiter=/', 'limit=2', 'limit=0', 'limit=x', 'limit=-1', 'limit=99999', 'marker=b/1', 'end_marker=b/1', 'reverse=on', 'path=b', 'path=', 'marker=z',
              'prefix=%C3%A9', 'prefix=%FF', 'delimiter=%FF', 'delimiter=ab', 'marker=%00', 'prefix=o&limit=1'):
    for form in ('plain', 'json', 'xml'):
        case('a container as %s: %s' % (form, query), 'GET', C + '?format=%s&%s' % (form, query))
for query in ('delimiter=-', 'prefix=e', 'limit=1', 'limit=0', 'limit=10001', 'marker=c', 'end_marker=empty', 'reverse=1', 'delimiter=m&prefix=e', 'prefix=none'):
    for form in ('plain', 'json', 'xml'):
        case('an account as %s: %s' % (form, query), 'GET', A + '?format=%s&%s' % (form, query))
for path in ('/v1/AUTH_{fresh}/', '/v1/AUTH_{fresh}/c/', '/v1.0/AUTH_{fresh}/c', '/v2/AUTH_{fresh}/c', '/v1/AUTH_none-{fresh}'):
    case('another path: ' + path, 'GET', path + '?format=json')
case('a range of a listing', 'GET', C + '?format=json', {'Range': 'bytes=0-5'})
case('a condition on a listing', 'GET', C, {'If-None-Match': '*'})
case('a condition that fails', 'GET', C, {'If-Match': 'x'})


def policies(row):
    """Newer Swifts than 2.30 name the policy of each container in listings of accounts."""
    text = re.sub(r'("name": "(\w+).*?"last_modified": "{iso}")', lambda m: m.group(1) + ', "storage_policy": "%s"' % policy(m.group(2)), row.get('text', ''))
    text = re.sub(r'(?s)(<name>(\w+).*?</last_modified>)', lambda m: m.group(1) + '<storage_policy>%s</storage_policy>' % policy(m.group(2)), text)
    if text != row.get('text', ''):
        row['apus'] = {'why': 'newer Swifts than 2.30 name the policies', 'text': text, 'answer': {
            'Content-Length': str(int(row['answer']['Content-Length']) + len(text) - len(row['text']))}}


def policy(container):
    return 'silver' if container == 'silver' else 'gold'


for row in c.rows:
    if row['path'].split('?')[0].strip('/').count('/') == 1:
        policies(row)
c.write()
