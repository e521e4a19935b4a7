"""Records what an OpenStack Swift with name_check before tempauth answers, for http.json.

    python3 http_record.py http://HOST:PORT > http.json

name_check must have its defaults. An account is made that stays.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, A = 'admin:admin', '/v1/AUTH_{fresh}'
C = A + '/c'
c.case('a container', T, 'PUT', C)
c.case('an object', T, 'PUT', C + '/o', body='content')
for char in ('%27', '%22', '%60', '%3C', '%3E', '%26', '%5C', '%7F', '%20', '%C3%A9', '%253C'):
    c.case('PUT with ' + char, T, 'PUT', C + '/o' + char, body='content')
    c.case('GET with ' + char, T, 'GET', C + '/o' + char)
for tail in ('.', '..', './x', '../x', '/..', '...', '.x', 'x.', '%2E', '%2e%2E/x', '%2F..'):
    c.case('a path with ' + tail, T, 'PUT', C + '/' + tail, body='content')
for method in ('GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'COPY'):
    c.case('%s of a bad name' % method, T, method, C + '/%3C', {'Destination': 'c/copy'} if method == 'COPY' else None)
c.case('a bad name of a container', T, 'PUT', C + '%3E')
c.case('a bad name of an account', T, 'GET', A + '%22')
c.case('a bad name, to nobody', '', 'GET', C + '/%3C')
c.case('a bad name beside the API', '', 'GET', '/info%3E')
c.case('a bad character in the query', T, 'GET', C + '?prefix=%3C')
c.case('a bad destination', T, 'COPY', C + '/o', {'Destination': 'c/%3C'})
c.case('a bad source', T, 'PUT', C + '/copy', {'X-Copy-From': 'c/%3C'})
for n in (255, 256):
    path = C + '/'
    c.case('a path of %d' % n, T, 'PUT', path + 'x' * (n - len(c.expand(path))), body='content')
c.case('the listing', T, 'GET', C)
c.write()
