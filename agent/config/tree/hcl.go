package tree

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/hashicorp/hcl/hcl/ast"
	"github.com/hashicorp/hcl/hcl/parser"
	"github.com/hashicorp/hcl/hcl/token"
)

// maxNesting bounds brackets within brackets: HCL's parser recurses, and a stack that overflows cannot be recovered.
const maxNesting = 500

// ParseHCL reads src as HCL of version 1 and returns its object. Errors are of type *Error.
func ParseHCL(src []byte) (v *Value, err error) {
	if pos, deep := tooDeep(src); deep {
		return nil, &Error{Pos: pos, Reason: fmt.Sprintf("more than %d nested blocks or lists", maxNesting)}
	}
	// The parser's token values panic on some malformed literals; a config file must never take the agent down.
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, &Error{Reason: fmt.Sprintf("malformed HCL: %v", r)}
		}
	}()
	file, err := parser.Parse(src)
	if err != nil {
		var at *parser.PosError
		if errors.As(err, &at) {
			return nil, &Error{Pos: Pos{at.Pos.Line, at.Pos.Column}, Reason: at.Err.Error()}
		}
		return nil, &Error{Reason: err.Error()}
	}
	list, ok := file.Node.(*ast.ObjectList)
	if !ok {
		return nil, &Error{Reason: "expected keys and blocks"}
	}
	return hclObject(list, Pos{Line: 1, Column: 1})
}

func tooDeep(src []byte) (Pos, bool) {
	depth := 0
	for i, c := range src {
		switch c {
		case '{', '[':
			if depth++; depth > maxNesting {
				return position(src, i), true
			}
		case '}', ']':
			depth = max(0, depth-1)
		}
	}
	return Pos{}, false
}

func hclObject(list *ast.ObjectList, pos Pos) (*Value, error) {
	v := &Value{Kind: Object, Pos: pos}
	for _, item := range list.Items {
		if len(item.Keys) == 0 {
			return nil, &Error{Pos: hclPos(item.Pos()), Reason: "a value without a key"}
		}
		inner, err := hclValue(item.Val)
		if err != nil {
			return nil, err
		}
		// A label nests: `service_ttl "web" { ... }` is service_ttl = { web = { ... } }.
		for i := len(item.Keys) - 1; i > 0; i-- {
			at := hclPos(item.Keys[i].Token.Pos)
			inner = &Value{Kind: Object, Pos: at, Fields: []Field{{Key: hclKey(item.Keys[i]), Pos: at, Value: inner}}}
		}
		v.Fields = append(v.Fields, Field{Key: hclKey(item.Keys[0]), Pos: hclPos(item.Keys[0].Token.Pos), Value: inner})
	}
	return v, nil
}

func hclKey(k *ast.ObjectKey) string {
	key, _ := k.Token.Value().(string)
	return key
}

func hclValue(node ast.Node) (*Value, error) {
	switch n := node.(type) {
	case *ast.ObjectType:
		return hclObject(n.List, hclPos(n.Lbrace))
	case *ast.ListType:
		v := &Value{Kind: List, Pos: hclPos(n.Lbrack)}
		for _, item := range n.List {
			inner, err := hclValue(item)
			if err != nil {
				return nil, err
			}
			v.Items = append(v.Items, inner)
		}
		return v, nil
	case *ast.LiteralType:
		return hclLiteral(n.Token)
	default:
		return nil, &Error{Reason: fmt.Sprintf("unexpected %T", node)}
	}
}

func hclLiteral(t token.Token) (*Value, error) {
	v := &Value{Pos: hclPos(t.Pos)}
	switch t.Type {
	case token.BOOL:
		v.Kind, v.Bool = Bool, t.Text == "true"
	case token.NUMBER:
		n, err := strconv.ParseInt(t.Text, 0, 64)
		if err != nil {
			return nil, &Error{Pos: v.Pos, Reason: fmt.Sprintf("%s is not a number that fits 64 bits", t.Text)}
		}
		v.Kind, v.Text = Number, strconv.FormatInt(n, 10)
	case token.FLOAT:
		v.Kind, v.Text = Number, t.Text
	case token.STRING, token.HEREDOC:
		text, ok := t.Value().(string)
		if !ok {
			return nil, &Error{Pos: v.Pos, Reason: "malformed string"}
		}
		v.Kind, v.Text = String, text
	default:
		return nil, &Error{Pos: v.Pos, Reason: fmt.Sprintf("unexpected %q; put text in double quotes", t.Text)}
	}
	return v, nil
}

func hclPos(p token.Pos) Pos { return Pos{Line: p.Line, Column: p.Column} }
