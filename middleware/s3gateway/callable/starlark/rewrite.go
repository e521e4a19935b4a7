package starlark

import (
	"go.starlark.net/syntax"
)

// Names of the built-ins that stand in for operations. No script can spell them.
const (
	attribute = "."
	measured  = "measure"
)

// meteredOperators are those whose result may be larger than what it is made of, or is a copy.
var meteredOperators = map[syntax.Token]syntax.Token{
	syntax.PLUS_EQ: syntax.PLUS, syntax.MINUS_EQ: syntax.MINUS, syntax.STAR_EQ: syntax.STAR, syntax.PERCENT_EQ: syntax.PERCENT,
	syntax.PIPE_EQ: syntax.PIPE, syntax.AMP_EQ: syntax.AMP, syntax.CIRCUMFLEX_EQ: syntax.CIRCUMFLEX, syntax.LTLT_EQ: syntax.LTLT,
}

func isMetered(op syntax.Token) bool {
	for _, o := range meteredOperators {
		if o == op {
			return true
		}
	}
	return false
}

// meterStmts makes calls of metered built-ins out of all operations that take memory beyond what a step is allowed to.
func meterStmts(stmts []syntax.Stmt) {
	for i, s := range stmts {
		switch s := s.(type) {
		case *syntax.AssignStmt:
			stmts[i] = meterAssign(s)
		case *syntax.DefStmt:
			meterParams(s.Params)
			meterStmts(s.Body)
		case *syntax.ExprStmt:
			s.X = meterExpr(s.X)
		case *syntax.ForStmt:
			meterTarget(s.Vars)
			s.X = meterExpr(s.X)
			meterStmts(s.Body)
		case *syntax.WhileStmt:
			s.Cond = meterExpr(s.Cond)
			meterStmts(s.Body)
		case *syntax.IfStmt:
			s.Cond = meterExpr(s.Cond)
			meterStmts(s.True)
			meterStmts(s.False)
		case *syntax.ReturnStmt:
			s.Result = meterExpr(s.Result)
		}
	}
}

// meterAssign rewrites x += y as x = (+=)(x, y), and x[i] += y as ([]+=)(x, i, y).
func meterAssign(s *syntax.AssignStmt) syntax.Stmt {
	s.RHS = meterExpr(s.RHS)
	op, augmented := meteredOperators[s.Op]
	if !augmented {
		meterTarget(s.LHS)
		return s
	}
	target := s.LHS
	for {
		p, ok := target.(*syntax.ParenExpr)
		if !ok {
			break
		}
		target = p.X
	}
	switch x := target.(type) {
	case *syntax.Ident:
		s.Op = syntax.EQ
		s.RHS = callOf(op.String()+"=", s.OpPos, &syntax.Ident{NamePos: x.NamePos, Name: x.Name}, s.RHS)
	case *syntax.IndexExpr:
		return &syntax.ExprStmt{X: callOf("[]"+op.String()+"=", s.OpPos, meterExpr(x.X), meterExpr(x.Y), s.RHS)}
	default:
		meterTarget(s.LHS) // nothing that a script can have takes this
	}
	return s
}

// meterTarget looks into what is assigned to.
func meterTarget(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		meterTarget(e.X)
	case *syntax.IndexExpr:
		e.X, e.Y = meterExpr(e.X), meterExpr(e.Y)
	case *syntax.DotExpr:
		e.X = meterExpr(e.X)
	case *syntax.ListExpr:
		for _, x := range e.List {
			meterTarget(x)
		}
	case *syntax.TupleExpr:
		for _, x := range e.List {
			meterTarget(x)
		}
	}
}

func meterExpr(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.BinaryExpr:
		e.X, e.Y = meterExpr(e.X), meterExpr(e.Y)
		if isMetered(e.Op) {
			return callOf(e.Op.String(), e.OpPos, e.X, e.Y)
		}
	case *syntax.CallExpr:
		e.Fn = meterExpr(e.Fn)
		meterArgs(e.Args)
	case *syntax.DotExpr:
		return callOf(attribute, e.Dot, meterExpr(e.X), &syntax.Literal{Token: syntax.STRING, TokenPos: e.NamePos, Raw: e.Name.Name, Value: e.Name.Name})
	case *syntax.SliceExpr:
		e.X, e.Lo, e.Hi, e.Step = meterExpr(e.X), meterExpr(e.Lo), meterExpr(e.Hi), meterExpr(e.Step)
		return callOf(measured, e.Lbrack, e)
	case *syntax.IndexExpr:
		e.X, e.Y = meterExpr(e.X), meterExpr(e.Y)
	case *syntax.ParenExpr:
		e.X = meterExpr(e.X)
	case *syntax.UnaryExpr:
		e.X = meterExpr(e.X)
	case *syntax.CondExpr:
		e.Cond, e.True, e.False = meterExpr(e.Cond), meterExpr(e.True), meterExpr(e.False)
	case *syntax.ListExpr:
		meterList(e.List)
	case *syntax.TupleExpr:
		meterList(e.List)
	case *syntax.DictExpr:
		meterList(e.List)
	case *syntax.DictEntry:
		e.Key, e.Value = meterExpr(e.Key), meterExpr(e.Value)
	case *syntax.LambdaExpr:
		meterParams(e.Params)
		e.Body = meterExpr(e.Body)
	case *syntax.Comprehension:
		e.Body = meterExpr(e.Body)
		for _, c := range e.Clauses {
			switch c := c.(type) {
			case *syntax.ForClause:
				meterTarget(c.Vars)
				c.X = meterExpr(c.X)
			case *syntax.IfClause:
				c.Cond = meterExpr(c.Cond)
			}
		}
	}
	return e // names, literals, and what is not there
}

func meterList(list []syntax.Expr) {
	for i, x := range list {
		list[i] = meterExpr(x)
	}
}

// meterParams rewrites the defaults of parameters.
func meterParams(params []syntax.Expr) {
	for _, p := range params {
		if b, ok := p.(*syntax.BinaryExpr); ok {
			b.Y = meterExpr(b.Y)
		}
	}
}

// meterArgs rewrites arguments. *x and **x are copied by the call.
func meterArgs(args []syntax.Expr) {
	for i, a := range args {
		switch a := a.(type) {
		case *syntax.BinaryExpr:
			if a.Op == syntax.EQ {
				a.Y = meterExpr(a.Y)
				continue
			}
		case *syntax.UnaryExpr:
			if a.Op == syntax.STAR || a.Op == syntax.STARSTAR {
				a.X = callOf(measured, a.OpPos, meterExpr(a.X))
				continue
			}
		}
		args[i] = meterExpr(a)
	}
}

func callOf(builtin string, at syntax.Position, args ...syntax.Expr) *syntax.CallExpr {
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: at, Name: builtin}, Lparen: at, Args: args, Rparen: at}
}
