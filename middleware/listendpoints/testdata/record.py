"""Records what OpenStack Swift answers about where things are.

    python3 record.py http://HOST:PORT > swift.json

The proxy must have list_endpoints, and the policies gold and silver; its rings belong beside the recording. The account is new
each time.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

talk = Conversation(sys.argv[1])
A = 'AUTH_endpoints%x' % int(time.time())
for name, policy in (('gold', 'gold'), ('silver', 'silver'), ('with%20blank', 'silver')):
    talk.send('admin:admin', 'PUT', '/v1/%s/%s' % (A, name), {'X-Storage-Policy': policy})


def ask(name, path, method='GET', user='', apus=None):
    talk.case(name, user, method, path, apus=apus)


E = '/endpoints/'
ask('an account', E + A)
ask('a container', E + A + '/gold')
ask('an object', E + A + '/gold/o')
ask('an object of another policy', E + A + '/silver/o')
ask('an object of a container that is missing', E + A + '/missing/o')
ask('of an account that is missing', E + 'AUTH_none/c/o')
ask('slashes in a name', E + A + '/silver/a//b/c/')
ask('odd characters', E + A + '/with%20blank/%C3%A9%3F%23%25%22%3A%40+~')
ask('characters not quoted', E + A + "/silver/a:b@c,d;e=f&g$h'i(j)!*")
ask('an account with a slash', E + A + '/')
ask('a container with a slash', E + A + '/silver/')
ask('a container with two', E + A + '/silver//')
ask('with a query', E + A + '/silver/o?format=json&x')
for v in ('v1', 'v1.0', '1', '1.0', 'vv1', 'v01', 'v1e0'):
    ask('version ' + v, E + v + '/' + A + '/silver/o')
for v in ('v2', 'v2.0', '2', '2e0'):
    ask('version ' + v, E + v + '/' + A + '/silver/o')
ask('version 2 of an account', E + 'v2/' + A)
ask('version 2 of a container', E + 'v2/' + A + '/silver')
ask('version 2 of a container with a slash', E + 'v2/' + A + '/silver/')
ask('version 2 of the default policy', E + 'v2/' + A + '/gold/o')
for v in ('v3', 'v', 'v1.5', 'v0x1', 'vnan', 'v1%20', 'v%C3%A9', 'vault', 'v%2B1'):
    ask('version ' + v, E + v + '/' + A + '/gold/o')
for v in ('v_3', '3', '0x1', 'nan', '1%20', '1.5', 'V1', '-1'):
    ask('an account ' + v, E + v + '/gold/o')
for path in ('', 'v1', 'v1/', 'v2', 'v3', '/', '/' + A, 'v1//' + A, 'v2//'):
    ask('no account in ' + (path or 'nothing'), E + path)
why = {'status': 400, 'answer': {'Content-Type': 'text/html; charset=UTF-8'}}
ask('an empty container', E + A + '//o',
    apus=dict(why, why='an error of the server in Swift', text='Invalid path: /' + A + '//o', answer=dict(why['answer'], **{'Content-Length': str(len(A) + 18)})))
ask('an empty container and object', E + A + '//',
    apus=dict(why, why='an error of the server in Swift', text='Invalid path: /' + A + '//', answer=dict(why['answer'], **{'Content-Length': str(len(A) + 17)})))
ask('a name that is not UTF-8', E + A + '/gold/%FF',
    apus={'why': 'refused as it is by the API', 'status': 412, 'text': 'Invalid UTF8 or contains NULL',
          'answer': {'Content-Type': 'text/html; charset=UTF-8', 'Content-Length': '29'}})
ask('a reserved name', E + A + '/gold/%00o')
for method in ('HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'NONSENSE'):
    ask(method, E + A + '/gold/o', method)
ask('a method before a path without account', E, 'PUT')
ask('with a token', E + 'v2/' + A + '/silver/o', user='test:tester')
talk.write()
