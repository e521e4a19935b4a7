"""Records what OpenStack Swift answers to requests that meet etag_quoter, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin) and admin:admin (.reseller_admin), and the filter etag_quoter with
its defaults. An account is made and removed.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
case = c.case

A = '/v1/AUTH_{fresh}'
C = A + '/c'
AH, CH = 'X-Account-Rfc-Compliant-Etags', 'X-Container-Rfc-Compliant-Etags'
AR, CR = AH.replace('X-', 'X-Remove-', 1), CH.replace('X-', 'X-Remove-', 1)
ETAG = 'd41d8cd98f00b204e9800998ecf8427e'
U = 'admin:admin'


def looks(what):
    case(what + ': GET', U, 'GET', C + '/o')
    case(what + ': HEAD', U, 'HEAD', C + '/o')
    case(what + ': PUT', U, 'PUT', C + '/o')


case('the account is made', U, 'PUT', A)
case('a container is made', U, 'PUT', C)
looks('by default')
case('an account says yes', U, 'POST', A, {AH: 'true'})
case('it shows', U, 'HEAD', A)
looks('the account says yes')
case('a missing object', U, 'GET', C + '/missing')
case('not modified', U, 'GET', C + '/o', {'If-None-Match': '"%s"' % ETAG})
case('a condition without quotes', U, 'GET', C + '/o', {'If-None-Match': ETAG})
case('a condition not met', U, 'GET', C + '/o', {'If-Match': 'x'})
case('a listing', U, 'HEAD', C)
case('a POST', U, 'POST', C + '/o', {'X-Object-Meta-A': 'b'})
case('a wrong ETag', U, 'PUT', C + '/o', {'Etag': 'x'})
case('a right one in quotes', U, 'PUT', C + '/o', {'Etag': '"%s"' % ETAG})
case('a container says no', U, 'POST', C, {CH: 'no'})
case('it shows too', U, 'HEAD', C)
looks('the container says no')
case('it says something else', U, 'POST', C, {CH: 'perhaps'})
case('which is no', U, 'HEAD', C)
case('it says nothing again', U, 'POST', C, {CH: ''})
case('nothing shows', U, 'HEAD', C)
looks('the account says yes again')
case('an account says no', U, 'POST', A, {AH: '0'})
case('it shows as well', U, 'HEAD', A)
looks('the account says no')
case('the container says yes', U, 'POST', C, {CH: 'T'})
looks('the container says yes')
case('both at once: remove wins', U, 'POST', C, {CH: 'yes', CR: 'x'})
case('nothing shows now', U, 'HEAD', C)
case('removed from the account', U, 'POST', A, {AR: 'x'})
case('nothing shows there', U, 'HEAD', A)
looks('all is as before')
case('cleaning up: o', U, 'DELETE', C + '/o')
case('cleaning up: c', U, 'DELETE', C)
c.send(U, 'DELETE', A)
c.write()
