"""Records what OpenStack Swift answers to requests that meet container_quotas, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin), test:tester3 and test2:tester2, and the filter container_quotas.
Containers filtersc-... of AUTH_test are made and removed.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
case = c.case

C = '/v1/AUTH_test/filtersc-quota'
B, N = 'X-Container-Meta-Quota-Bytes', 'X-Container-Meta-Quota-Count'
T, USER, OTHER = 'test:tester', 'test:tester3', 'test2:tester2'
case('bytes must be digits', T, 'PUT', C, {B: 'many'})
case('a count must be digits', T, 'PUT', C, {N: '-1'})
case('bytes come first', T, 'PUT', C, {N: 'few', B: 'many'})
case('anybody is told so', '', 'PUT', C, {B: 'many'})
case('under underscores too', T, 'PUT', C, {'X_Container_Meta_Quota_Bytes': 'many'})
case('with spaces inside', T, 'PUT', C, {B: '1 0'})
case('an empty quota is none', T, 'PUT', C, {B: '', N: ''})
case('it is as if never set', T, 'HEAD', C)
case('quotas are set', T, 'POST', C, {B: '10', N: '2', 'X-Container-Write': USER})
case('they show', T, 'HEAD', C)
case('a POST must have digits too', T, 'POST', C, {B: '1e3'})
case('what fits goes in', T, 'PUT', C + '/small', body='0123456789')
case('what does not fit is refused', T, 'PUT', C + '/large', body='01234567890')
case('also to a reseller', 'admin:admin', 'PUT', C + '/large', body='01234567890')
case('also to one whom the list lets write', USER, 'PUT', C + '/large', body='01234567890')
case('a stranger is told nothing', OTHER, 'PUT', C + '/large', body='01234567890')
case('nor is anybody anonymous', '', 'PUT', C + '/large', body='01234567890')
case('a body of unknown length goes in', T, 'PUT', C + '/small', body='01234567890', chunked=True)
case('reading is not bounded', T, 'GET', C + '/small')
case('nor is a POST', T, 'POST', C + '/small', {'X-Object-Meta-A': 'b'})
case('a quota on an object means nothing', T, 'POST', C + '/small', {B: 'many'})
case('no objects at all', T, 'POST', C, {N: '0'})
case('refuses an empty one', T, 'PUT', C + '/empty')
case('deleting is not bounded', T, 'DELETE', C + '/small')
case('a quota is removed', T, 'POST', C, {'X-Remove-Container-Meta-Quota-Count': 'x', B: ''})
case('and bounds nothing', T, 'PUT', C + '/large', body='01234567890')
case('a missing container is missing', T, 'PUT', C + '-missing/large', body='01234567890')
case('a trailing slash is the container', T, 'POST', C + '/', {B: 'many'})
case('an account has no such quota', T, 'POST', '/v1/AUTH_test', {'X-Container-Meta-Quota-Bytes': 'many'})
case('cleaning up: large', T, 'DELETE', C + '/large')
case('cleaning up', T, 'DELETE', C)
c.write()
