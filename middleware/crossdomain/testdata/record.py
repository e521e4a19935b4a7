"""Records what OpenStack Swift answers to requests for its cross-domain policy, and to some that look like it, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have the filter crossdomain with its defaults.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
case = c.case

P = '/crossdomain.xml'
for method in ('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'BREW'):
    case(method, '', method, P)
for path in (P + '?x=y', '/crossdomain%2Exml', '/%63rossdomain.xml', P + '/', '/' + P, '/v1' + P, '/Crossdomain.xml',
             '/crossdomain', '/', '/crossdomain.xml.bak', P + '#x', P + '%00', '/v1/..' + P):
    case('GET ' + path, '', 'GET', path)
case('a condition', '', 'GET', P, {'If-None-Match': '*'})
case('a range', '', 'GET', P, {'Range': 'bytes=0-3'})
c.write()
