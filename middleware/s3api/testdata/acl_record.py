"""Records what OpenStack Swift's s3api with s3_acl answers to requests of several users, in order, for acl.json.

    python3 acl_record.py http://HOST:PORT > acl.json

The server must have tempauth's users as in etc/functional-test.toml, and s3api with s3_acl and check_bucket_owner. Requests
are signed by version 2 in the query, for a time that is far enough, so that they can be replayed. Buckets that begin with
aclrec must not be there.
"""
import base64
import hashlib
import hmac
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import KEYS, Conversation

c = Conversation(sys.argv[1])
SIGNED = ('acl', 'delete', 'location', 'logging', 'partNumber', 'uploadId', 'uploads', 'versionId', 'versioning', 'versions')
EXPIRES = 2145916800  # before 2038: Swift takes no later time

O, W, N, X = 'test:tester', 'test:tester2', 'test:tester3', 'test2:tester2'  # owner, another, one who owns no account, of another account
B, B2 = '/aclrec-own', '/aclrec-second'
NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
ALL = 'http://acs.amazonaws.com/groups/global/AllUsers'
AUTHENTICATED = 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers'
LOGS = 'http://acs.amazonaws.com/groups/s3/LogDelivery'


def signed(user, method, path, headers):
    """Adds the signature."""
    bare, _, query = path.partition('?')
    low = {k.lower(): v for k, v in headers.items()}
    amz = ''.join('%s:%s\n' % (k, low[k]) for k in sorted(low) if k.startswith('x-amz-'))
    subs = []
    for item in query.split('&') if query else []:
        k, eq, v = item.partition('=')
        if k in SIGNED:
            subs.append(k + (eq and '=' + urllib.parse.unquote(v)))
    resource = bare + ('?' + '&'.join(sorted(subs)) if subs else '')
    text = '\n'.join([method, low.get('content-md5', ''), low.get('content-type', ''), str(EXPIRES)]) + '\n' + amz + resource
    mac = hmac.new(KEYS[user].encode(), text.encode(), hashlib.sha1).digest()
    return bare + '?' + (query + '&' if query else '') + urllib.parse.urlencode(
        {'AWSAccessKeyId': user, 'Expires': EXPIRES, 'Signature': base64.b64encode(mac).decode()})


def s3(name, user, method, path, headers=None, body='', **kw):
    headers = headers or {}
    return c.case(name, '', method, signed(user, method, path, headers), headers, body, **kw)


def swift(name, user, method, path, headers=None, body='', **kw):
    return c.case(name, user, method, '/v1/AUTH_test' + path, headers, body, **kw)


def grant(grantee, permission):
    return '<Grant>%s<Permission>%s</Permission></Grant>' % (grantee, permission)


def user(name):
    return '<Grantee %s xsi:type="CanonicalUser"><ID>%s</ID><DisplayName>x</DisplayName></Grantee>' % (XSI, name)


def group(uri):
    return '<Grantee %s xsi:type="Group"><URI>%s</URI></Grantee>' % (XSI, uri)


def policy(owner, *grants):
    return '<AccessControlPolicy %s><Owner><ID>%s</ID></Owner><AccessControlList>%s</AccessControlList></AccessControlPolicy>' % (
        NS, owner, ''.join(grants))


def md5(text):
    return base64.b64encode(hashlib.md5(text.encode()).digest()).decode()


def other(why, **kw):
    return dict(why=why, **kw)


FORBIDDEN = '<html><h1>Forbidden</h1><p>Access was denied to this resource.</p></html>'
NO_KEYS = 'who may not list the bucket is not told what is not there'
KEPT_OUT = {'status': 403, 'text': 'AccessDenied'}


def tries(what, *users):
    """What each user may do to the bucket and the object /o in it."""
    for u in users:
        for name, method, path in (('head the bucket', 'HEAD', B), ('list it', 'GET', B), ('read its ACL', 'GET', B + '?acl'),
                                   ('read the object', 'GET', B + '/o'), ('head the object', 'HEAD', B + '/o'),
                                   ('read the ACL of the object', 'GET', B + '/o?acl')):
            s3('%s: %s may %s?' % (what, u, name), u, method, path)
        s3('%s: %s may write into it?' % (what, u), u, 'PUT', B + '/by-' + u.replace(':', '-'), body='x')
        s3('%s: %s may delete from it?' % (what, u), u, 'DELETE', B + '/by-' + u.replace(':', '-'))


def buckets():
    s3('a bucket is made', O, 'PUT', B)
    s3('again', O, 'PUT', B)
    s3('another user of the account takes it', W, 'PUT', B)
    s3('another user takes it with an ACL', W, 'PUT', B, {'x-amz-acl': 'public-read-write'})
    s3('its ACL is what it was', O, 'GET', B + '?acl')
    s3('who does not own the account makes one', N, 'PUT', B2)
    s3('another account has one of the name', X, 'PUT', B)
    s3('and owns it', X, 'GET', B + '?acl')
    s3('and deletes it', X, 'DELETE', B)
    s3('the owner still has one', O, 'HEAD', B)
    s3('an object', O, 'PUT', B + '/o', body='content')
    tries('private', O, W, N)
    s3('the owner sees it', O, 'GET', '/')
    s3('another does not', W, 'GET', '/')
    s3('another deletes it', W, 'DELETE', B)
    s3('another asks where it is', W, 'GET', B + '?location')
    s3('another asks for versioning', W, 'GET', B + '?versioning', apus=other('as AWS: the owner is told', **KEPT_OUT))
    for canned in ('public-read', 'public-read-write', 'authenticated-read', 'bucket-owner-read', 'bucket-owner-full-control',
                   'log-delivery-write', 'private'):
        s3('canned: ' + canned, O, 'PUT', B + '?acl', {'x-amz-acl': canned})
        s3('what that is: ' + canned, O, 'GET', B + '?acl')
        if canned in ('public-read', 'public-read-write', 'authenticated-read'):
            tries(canned, N)
    for p in ('full-control', 'read', 'write', 'read-acp', 'write-acp'):
        s3('%s is granted' % p, O, 'PUT', B + '?acl', {'x-amz-grant-' + p: 'id="%s"' % N})
        tries('granted ' + p, N)
        s3('granted %s: may delete it?' % p, N, 'DELETE', B)
        s3('granted %s: may set the ACL?' % p, N, 'PUT', B + '?acl', {'x-amz-acl': 'private'})
    s3('several grants', O, 'PUT', B + '?acl', {'x-amz-grant-read': 'id=%s,uri="%s"' % (N, AUTHENTICATED), 'x-amz-grant-write-acp': 'uri=' + LOGS})
    s3('several grants are shown', O, 'GET', B + '?acl')
    s3('several grants with a space between', O, 'PUT', B + '?acl', {'x-amz-grant-read': 'id=%s, id="%s"' % (N, W)}, apus=other(
        'as AWS', status=200, text=''))
    s3('a bucket with grants', O, 'PUT', B2, {'x-amz-grant-read': 'uri=' + ALL})
    s3('its ACL', O, 'GET', B2 + '?acl')
    s3('a document', O, 'PUT', B2 + '?acl', body=policy(O, grant(user(N), 'READ'), grant(group(ALL), 'WRITE')))
    s3('a document is shown', O, 'GET', B2 + '?acl')
    s3('a document without grants', O, 'PUT', B2 + '?acl', body=policy(O))
    s3('the owner needs no grants', O, 'GET', B2 + '?acl')
    s3('nor to list', O, 'GET', B2)
    s3('a missing bucket', O, 'GET', '/aclrec-none?acl')
    s3('a missing bucket is given an ACL', O, 'PUT', '/aclrec-none?acl', {'x-amz-acl': 'private'})


def wrong():
    put = lambda name, headers=None, body='', **kw: s3(name, O, 'PUT', B2 + '?acl', headers, body, **kw)
    put('an unknown canned ACL', {'x-amz-acl': 'nobody'})
    put('a canned ACL in upper case', {'x-amz-acl': 'PRIVATE'})
    put('canned and granted', {'x-amz-acl': 'private', 'x-amz-grant-read': 'id=' + N})
    put('in a header and a document', {'x-amz-acl': 'private'}, policy(O))
    put('neither')
    put('an unknown group', {'x-amz-grant-read': 'uri=http://example.com/'})
    put('an unknown kind of grantee', {'x-amz-grant-read': 'name=x'})
    email = other('as AWS', status=400, text='UnresolvableGrantByEmailAddress')
    put('an e-mail address', {'x-amz-grant-read': 'emailAddress=a@example.com'}, apus=email)
    put('no document', body='x')
    put('half a document', body='<AccessControlPolicy>')
    put('another document', body='<Delete/>')
    put('no owner', body=policy(O).replace('<Owner><ID>%s</ID></Owner>' % O, ''))
    put('no list', body='<AccessControlPolicy><Owner><ID>%s</ID></Owner></AccessControlPolicy>' % O)
    put('another owner', body=policy(N, grant(user(N), 'FULL_CONTROL')))
    put('an unknown permission', body=policy(O, grant(user(N), 'EVERYTHING')))
    put('an unknown group in a document', body=policy(O, grant(group('http://example.com/'), 'READ')))
    put('an unknown type', body=policy(O, grant(user(N).replace('CanonicalUser', 'Somebody'), 'READ')))
    put('no type', body=policy(O, grant(user(N).replace('xsi:type="CanonicalUser"', ''), 'READ')))
    put('a group with an id', body=policy(O, grant(user(N).replace('CanonicalUser', 'Group'), 'READ')))
    put('an e-mail address in a document', body=policy(O, grant(
        '<Grantee %s xsi:type="AmazonCustomerByEmail"><EmailAddress>a@example.com</EmailAddress></Grantee>' % XSI, 'READ')), apus=email)
    s3('nothing of that counts', O, 'GET', B2 + '?acl')


def objects():
    s3('everybody may write', O, 'PUT', B + '?acl', {'x-amz-acl': 'public-read-write'})
    s3('somebody does', N, 'PUT', B + '/n', {'x-amz-meta-color': 'blue', 'Content-Type': 'text/plain'}, 'content of n')
    s3('and owns it', N, 'GET', B + '/n?acl')
    s3('the owner of the bucket may not read it', O, 'GET', B + '/n')
    s3('nor see its ACL', O, 'GET', B + '/n?acl')
    s3('nor set it', O, 'PUT', B + '/n?acl', {'x-amz-acl': 'private'})
    s3('nor copy it', O, 'PUT', B2 + '/stolen', {'x-amz-copy-source': B + '/n'})
    s3('nor part of it by a range', O, 'GET', B + '/n', {'Range': 'bytes=0-1'})
    s3('nor by a condition', O, 'GET', B + '/n', {'If-None-Match': '"%s"' % hashlib.md5(b'content of n').hexdigest()})
    s3('nor by another', O, 'GET', B + '/n', {'If-Match': '"%s"' % ('0' * 32)},
       apus=other('what may not be read is not compared either', **KEPT_OUT))
    s3('nor by a range that is not there', O, 'GET', B + '/n', {'Range': 'bytes=100-'})
    s3('it is shared with the owner of the bucket', N, 'PUT', B + '/n?acl', {'x-amz-acl': 'bucket-owner-read'})
    s3('what that is', N, 'GET', B + '/n?acl')
    s3('so it can be read', O, 'GET', B + '/n')
    s3('not its ACL', O, 'GET', B + '/n?acl')
    s3('and copied', O, 'PUT', B2 + '/copy', {'x-amz-copy-source': B + '/n'})
    s3('the copy is its maker\'s', O, 'GET', B2 + '/copy?acl')
    s3('and nobody else\'s', N, 'GET', B2 + '/copy')
    s3('a copy with an ACL', O, 'PUT', B2 + '/copy', {'x-amz-copy-source': B + '/n', 'x-amz-acl': 'public-read'})
    s3('that counts', N, 'GET', B2 + '/copy')
    s3('a copy onto itself', O, 'PUT', B2 + '/copy', {'x-amz-copy-source': B2 + '/copy', 'x-amz-metadata-directive': 'REPLACE'})
    s3('is private again', N, 'GET', B2 + '/copy')
    for canned in ('public-read', 'authenticated-read', 'bucket-owner-full-control', 'log-delivery-write', 'private'):
        s3('object, canned: ' + canned, N, 'PUT', B + '/n?acl', {'x-amz-acl': canned})
        s3('object, what that is: ' + canned, N, 'GET', B + '/n?acl')
        s3('object, canned: %s: may another read?' % canned, W, 'GET', B + '/n')
    for p in ('full-control', 'read', 'write', 'read-acp', 'write-acp'):
        s3('object: %s is granted' % p, N, 'PUT', B + '/n?acl', {'x-amz-grant-' + p: 'id="%s"' % W})
        s3('object, granted %s: may read?' % p, W, 'GET', B + '/n')
        s3('object, granted %s: may read the ACL?' % p, W, 'GET', B + '/n?acl')
        s3('object, granted %s: may set the ACL?' % p, W, 'PUT', B + '/n?acl', {'x-amz-acl': 'private'})
    s3('who set it did not become its owner', N, 'GET', B + '/n?acl')
    s3('another owner of an object', N, 'PUT', B + '/n?acl', body=policy(W, grant(user(W), 'FULL_CONTROL')))
    s3('a document for an object', N, 'PUT', B + '/n?acl', body=policy(N, grant(user(O), 'READ_ACP')))
    s3('a document of an object', O, 'GET', B + '/n?acl')
    s3('the object is as it was', N, 'GET', B + '/n')
    s3('a wrong ACL of a new object', N, 'PUT', B + '/m', {'x-amz-acl': 'nobody'}, 'x')
    s3('a wrong grant of a new object', N, 'PUT', B + '/m', {'x-amz-grant-read': 'uri=x'}, 'x')
    s3('a missing object', O, 'GET', B + '/none?acl')
    s3('a missing object is given an ACL', O, 'PUT', B + '/none?acl', {'x-amz-acl': 'private'})
    doc = '<Delete><Object><Key>n</Key></Object><Object><Key>o</Key></Object></Delete>'
    s3('only reading', O, 'PUT', B + '?acl', {'x-amz-acl': 'public-read'})
    s3('many are deleted by who may not', W, 'POST', B + '?delete', {'Content-MD5': md5(doc)}, doc)
    s3('even who owns one may not', N, 'DELETE', B + '/n')
    s3('private again', O, 'PUT', B + '?acl', {'x-amz-acl': 'private'})
    s3('a missing object, to who may not list', N, 'GET', B + '/none', apus=other(NO_KEYS, **KEPT_OUT))
    s3('its ACL, to who may not list', N, 'GET', B + '/none?acl', apus=other(NO_KEYS, **KEPT_OUT))
    s3('writing', O, 'PUT', B + '?acl', {'x-amz-grant-write': 'id=' + W})
    doc = '<Delete><Object><Key>n</Key></Object></Delete>'  # Swift answers in any order
    s3('one is deleted by who may', W, 'POST', B + '?delete', {'Content-MD5': md5(doc)}, doc)


def by_swift():
    acl = '{"Owner":"test:tester3","Grant":[{"Permission":"FULL_CONTROL","Grantee":"AllUsers"}]}'
    swift('by Swift: system metadata of a container', O, 'POST', B, {'X-Container-Sysmeta-S3Api-Acl': acl, 'X-Container-Sysmeta-Swift3-Acl': acl})
    s3('by Swift: has not changed the ACL', O, 'GET', B + '?acl')
    swift('by Swift: system metadata of an object', O, 'PUT', B + '/swift', {'X-Object-Sysmeta-S3Api-Acl': acl}, 'x')
    s3('by Swift: nobody owns it', N, 'GET', B + '/swift')
    s3('by Swift: not even who made it', O, 'GET', B + '/swift')
    swift('by Swift: a container', O, 'PUT', '/aclrec-swift', {'X-Container-Read': '.r:*,.rlistings'})
    s3('by Swift: nobody owns the container', O, 'GET', '/aclrec-swift')
    s3('by Swift: nobody takes it', O, 'PUT', '/aclrec-swift')
    s3('by Swift: nobody sets its ACL', O, 'PUT', '/aclrec-swift?acl', {'x-amz-acl': 'private'})
    s3('an object that all may read', O, 'PUT', B + '/o', {'x-amz-acl': 'public-read'}, 'content')
    s3('all may', N, 'GET', B + '/o')
    swift('not by Swift', N, 'GET', B + '/o')
    swift('nor anonymously', '', 'GET', B + '/o')
    s3('a bucket whose ACL is in headers of Swift', O, 'PUT', B2 + '?acl', {'x-amz-acl': 'private', 'X-Container-Read': '.r:*', 'X-Container-Write': N})
    native = 'no header of the Swift API passes through S3'
    swift('headers of Swift do not pass', N, 'PUT', B2 + '/x', body='x', apus=other(
        native, status=403, answer={'Content-Type': 'text/html; charset=UTF-8', 'Etag': None, 'Last-Modified': None}, text=FORBIDDEN))
    swift('nor do they for reading', O, 'HEAD', B2, apus=other(native, answer={
        'X-Container-Read': None, 'X-Container-Write': None, 'X-Container-Object-Count': '1', 'X-Container-Bytes-Used': '12'}))


buckets(), wrong(), objects(), by_swift()
c.write()
