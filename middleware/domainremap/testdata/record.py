"""Records what OpenStack Swift answers to requests for hosts that domain_remap knows, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's user admin:admin (.reseller_admin) and the filter domain_remap for example.com. An account
is made and removed.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
case = c.case

A = '/v1/AUTH_{fresh}'
ONE, TWO = 'auth-{fresh}.example.com', 'c.AUTH-{fresh}.example.com'
U = 'admin:admin'
case('the account is made', U, 'PUT', A)
case('a container is made by its host', U, 'PUT', '/c', {'Host': ONE})
case('an object by its host', U, 'PUT', '/o', {'Host': TWO}, 'content')
case('it is there', U, 'GET', A + '/c/o')
case('by the account', U, 'GET', '/c/o', {'Host': ONE})
case('by the container', U, 'GET', '/o', {'Host': TWO})
case('with a port', U, 'GET', '/o', {'Host': TWO + ':8080'})
case('with an underscore', U, 'GET', '/o', {'Host': 'c.AUTH_{fresh}.example.com'})
case('with mixed case', U, 'GET', '/o', {'Host': 'c.aUtH-{fresh}.example.com'})
case('the domain in capitals is another', U, 'GET', '/o', {'Host': 'c.auth-{fresh}.EXAMPLE.com'})
case('the account', U, 'HEAD', '/', {'Host': ONE})
case('its listing', U, 'GET', '/?format=json&limit=0', {'Host': ONE})
case('the container\'s listing', U, 'GET', '/', {'Host': TWO})
case('an empty query is kept', U, 'GET', '/?prefix=x', {'Host': TWO})
case('a version is part of the name', U, 'GET', '/v1/AUTH_{fresh}/c/o', {'Host': TWO})
case('also for an account', U, 'GET', '/v1/c/o', {'Host': ONE})
case('three labels', U, 'GET', '/o', {'Host': 'x.c.auth-{fresh}.example.com'})
case('three labels to HEAD', U, 'HEAD', '/o', {'Host': 'x.c.auth-{fresh}.example.com'})
case('another prefix', U, 'GET', A + '/c/o', {'Host': 'c.other-x.example.com'})
case('no prefix', U, 'GET', A + '/c/o', {'Host': 'c.other.example.com'})
case('another domain', U, 'GET', A + '/c/o', {'Host': 'auth-{fresh}.example.org'})
case('the domain alone', U, 'GET', A + '/c/o', {'Host': 'example.com'})
case('nothing before the domain', U, 'GET', A + '/c/o', {'Host': '.example.com'})
case('dots before the domain', U, 'GET', '/o', {'Host': '..c.auth-{fresh}.example.com'})
case('a name in the middle', U, 'GET', A + '/c/o', {'Host': 'auth-{fresh}.example.com.org'})
case('a name before the domain', U, 'GET', A + '/c/o', {'Host': 'auth-{fresh}example.com'})
case('no user', '', 'GET', '/o', {'Host': TWO})
case('an object with odd characters', U, 'PUT', '/a%20b%2Fc%3F%25', {'Host': TWO}, 'odd')
case('is where it should be', U, 'GET', A + '/c/a%20b%2Fc%3F%25')
case('and where the host says', U, 'GET', '/a%20b/c%3f%25', {'Host': TWO})
case('with two slashes', U, 'GET', '//o', {'Host': TWO})
case('cleaning up: odd', U, 'DELETE', '/a%20b%2Fc%3F%25', {'Host': TWO})
case('cleaning up: o', U, 'DELETE', '/o', {'Host': TWO})
case('cleaning up: c', U, 'DELETE', '/', {'Host': TWO})
c.send(U, 'DELETE', A)
c.write()
