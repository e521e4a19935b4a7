"""Records what OpenStack Swift answers to requests that meet account_quotas, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester and admin:admin (.reseller_admin), and the filter account_quotas. An
account is made and removed.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
case = c.case

A = '/v1/AUTH_{fresh}'
Q, RM = 'X-Account-Meta-Quota-Bytes', 'X-Remove-Account-Meta-Quota-Bytes'
T, ADMIN = 'test:tester', 'admin:admin'
case('the account is made', ADMIN, 'PUT', A, {'X-Account-Access-Control': '{"admin": ["test:tester"]}'})
case('a container is made', T, 'PUT', A + '/c')
case('nothing is bounded at first', T, 'PUT', A + '/c/o', body='x' * 20)
case('an owner cannot set a quota', T, 'POST', A, {Q: '10'})
case('nor make it empty', T, 'POST', A, {Q: ''})
case('nor set it with PUT', T, 'PUT', A, {Q: '10'})
case('nor under underscores', T, 'POST', A, {'X_Account_Meta_Quota_Bytes': '10'})
case('nobody sets a quota anonymously', '', 'POST', A, {Q: '10'})
case('a reseller must give digits', ADMIN, 'POST', A, {Q: 'many'})
case('and no sign', ADMIN, 'POST', A, {Q: '-1'})
case('nor a fraction', ADMIN, 'POST', A, {Q: '1.5'})
case('a reseller sets a quota', ADMIN, 'POST', A, {Q: '10'})
case('the owner sees it', T, 'HEAD', A)
case('an owner cannot remove it', T, 'POST', A, {RM: 'x'})
case('other metadata is the owner\'s', T, 'POST', A, {'X-Account-Meta-Color': 'blue'})
case('a quota header on a container means nothing', T, 'POST', A + '/c', {Q: '5'})
case('nor on an object', T, 'PUT', A + '/c/small', {Q: 'many'}, body='0123456789')
case('what fits goes in', T, 'PUT', A + '/c/small', body='0123456789')
case('what does not fit is refused', T, 'PUT', A + '/c/large', body='01234567890')
case('a stranger is told nothing', 'test2:tester2', 'PUT', A + '/c/large', body='01234567890')
case('nor is anybody anonymous', '', 'PUT', A + '/c/large', body='01234567890')
case('a missing container is no matter', T, 'PUT', A + '/missing/large', body='01234567890')
case('a body of unknown length goes in', T, 'PUT', A + '/c/chunked', body='01234567890', chunked=True)
case('a reseller is not bounded', ADMIN, 'PUT', A + '/c/large', body='01234567890')
case('what is there can be read', T, 'GET', A + '/c/o')
case('and changed', T, 'POST', A + '/c/o', {'X-Object-Meta-A': 'b'})
case('a quota of nothing', ADMIN, 'POST', A, {Q: '0'})
case('refuses a byte', T, 'PUT', A + '/c/byte', body='0')
case('containers are not bounded', T, 'PUT', A + '/c2')
case('a very large quota', ADMIN, 'POST', A, {Q: '99999999999999999999999'})
case('bounds nothing', T, 'PUT', A + '/c/o2', body='x' * 20)
case('a reseller removes it', ADMIN, 'POST', A, {RM: 'x'})
case('it is gone', T, 'HEAD', A)
case('and bounds nothing', T, 'PUT', A + '/c/o3', body='x' * 20)
for name in ('o', 'o2', 'o3', 'small', 'large', 'chunked'):
    case('cleaning up: ' + name, T, 'DELETE', A + '/c/' + name)
case('cleaning up: c', T, 'DELETE', A + '/c')
case('cleaning up: c2', T, 'DELETE', A + '/c2')
c.send(ADMIN, 'DELETE', A)
c.write()
