"""Records what an OpenStack Swift with cname_lookup and domain_remap answers to hosts, for http.json.

    /usr/bin/python3 http_record.py http://HOST:PORT DNSPORT > http.json

The filters must have the options of http_test.go, and the port for name server, on which this script answers from zone.json. A
container of AUTH_a is made and removed.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

import nameserver

nameserver.start(int(sys.argv[2]))
c = Conversation(sys.argv[1])
LOOP = {'why': 'each name is cached under its own key', 'text': 'CNAME lookup failed after 3 tries', 'answer': {'Content-Length': '33'}}
ADMIN, C = 'admin:admin', '/v1/AUTH_a/c'
c.empty(ADMIN, C)
c.case('a container', ADMIN, 'PUT', C, {'X-Container-Read': '.r:*,.rlistings'})
c.case('an object by an alias', ADMIN, 'PUT', '/o', {'Host': 'www.customer.test', 'Content-Type': 'text/x-o'}, 'content')
c.case('it is there', ADMIN, 'GET', C + '/o')
for host in ('www.customer.test', 'www.customer.test:8080', 'WWW.customer.test', 'short.customer.test', 'zero.customer.test', 'root.customer.test', 'other.customer.test',
             'like.customer.test', 'two.customer.test', 'three.customer.test', 'self.customer.test', 'loop-a.customer.test', 'dead.customer.test', 'upper.customer.test',
             'address.customer.test', 'aliased.customer.test', 'failing.customer.test', 'missing.customer.test', 'large.customer.test', 'c.AUTH-a.example.com',
             'example.com', 'c.auth-a.example.net', 'a..b', '127.0.0.1', '127.0.0.1:80', 'localhost'):
    c.case('GET by ' + host, '', 'GET', '/o', {'Host': host}, apus=LOOP if host.startswith('loop') else None)
for method, path in (('HEAD', '/o'), ('GET', '/'), ('GET', '/none'), ('PUT', '/new'), ('DELETE', '/o'), ('OPTIONS', '/o'), ('GET', '/v1/AUTH_a/c/o'), ('GET', '/info')):
    for host in ('www.customer.test', 'missing.customer.test'):
        c.case('%s %s by %s' % (method, path, host), '', method, path, {'Host': host})
c.case('the owner deletes it', ADMIN, 'DELETE', '/o', {'Host': 'www.customer.test'})
c.empty(ADMIN, C)
c.write()
