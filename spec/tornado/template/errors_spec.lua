-- tornado.template: what is said of templates that are wrong, and where. PARITY §5.1, §5.2.
local template = require "tornado.template"
local trace = require "tornado.trace"
local util = require "tornado.util"

local function error_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

local function parse_error(text)
    local err = error_of(template.Template, text, { name = "t.html" })
    assert.is_true(util.isinstance(err, template.ParseError), tostring(err))
    return tostring(err)
end

local function run_error(files, name, namespace)
    local page = template.DictLoader(files):load(name)
    return error_of(page.generate, page, namespace or {})
end

describe("tornado.template's errors", function()
    it("name what is wrong with the text, and its line", function()
        for text, expected in pairs {
            ["\n{{ }}"] = "Empty expression at t.html:2",
            ["\n{{ x"] = "Missing end expression }} at t.html:2",
            ["{% if x"] = "Missing end block %} at t.html:1",
            ["{# x"] = "Missing end comment #} at t.html:1",
            ["{%  %}"] = "Empty block tag ({% %}) at t.html:1",
            ["\n\n{% foo x %}"] = "unknown operator: 'foo' at t.html:3",
            ["{% end %}"] = "Extra {% end %} block at t.html:1",
            ["\n{% if x %}\n\n"] = "Missing {% end %} block for if at t.html:2",
            ["{% for x in y %}{% elif x %}{% end %}"] =
                "elif block cannot be attached to for block at t.html:1",
            ["{% else %}"] = "else outside {'for', 'if', 'try', 'while'} block at t.html:1",
            ["{% break %}"] = "break outside {'for', 'while'} block at t.html:1",
            ["{% for x in y %}{% apply f %}{% continue %}{% end %}{% end %}"] =
                "continue outside {'for', 'while'} block at t.html:1",
            ["{% extends %}"] = "extends missing file path at t.html:1",
            ["{% include '' %}"] = "include missing file path at t.html:1",
            ["{% import %}"] = "import missing statement at t.html:1",
            ["{% from %}"] = "import missing statement at t.html:1",
            ["{% set %}"] = "set missing statement at t.html:1",
            ["{% apply %}{% end %}"] = "apply missing method name at t.html:1",
            ["{% block %}{% end %}"] = "block missing name at t.html:1",
            ["{% whitespace none %}"] = "invalid whitespace mode none at t.html:1",
            ["{% extends x %}"] =
                "{% extends %} block found, but no template loader at t.html:1",
            ["{% super %}"] = "super outside {'block'} block at t.html:1",
            ["{% try %}{% end %}"] = "try without except or finally at t.html:1",
            ["{% if x %}{% else %}{% elif y %}{% end %}"] = "elif behind else at t.html:1",
        } do
            assert.equal(expected, parse_error(text))
        end
    end)

    it("name what is wrong with the Lua in it", function()
        for text, expected in pairs {
            ["a\n{{ b c }}"] = "'<eof>' expected near 'c' at t.html:2",
            ["a\n{{ a\n\n +  }}"] = "unexpected symbol near '<eof>' at t.html:4",
            ["{{ a) .. (b }}"] = "'<eof>' expected near ')' at t.html:1",
            ["\n{% if x = 1 %}{% end %}"] = "'<eof>' expected near '=' at t.html:2",
            ["\n{% for x y %}{% end %}"] = "'=' or 'in' expected near 'y' at t.html:2",
            ["{% set 1 %}"] = "unexpected symbol near '1' at t.html:1",
        } do
            assert.equal(expected, parse_error(text))
        end
    end)

    it("tell of templates that are missing, or contain themselves", function()
        local loader = template.DictLoader { a = "\n{% include b %}", c = "{% include c %}",
            d = "{% extends d %}", e = "\n{% include f %}", f = "{% include e %}",
            h = "{% include ../x %}" }
        for name, expected in pairs {
            a = "no such template: b at a:2", c = "c includes itself at c:1",
            d = "d extends itself at d:1", e = "e includes itself at f:1",
            f = "f includes itself at e:2",
            h = "bad template name: ../x leaves the root at h:1",
        } do
            assert.equal(expected, tostring(error_of(loader.load, loader, name)))
        end
    end)

    it("name names that are not defined", function()
        assert.equal("a:2: name 'y' is not defined", run_error({ a = "x\n{{ y }}" }, "a"))
        assert.matches("^a:2: attempt to index field 'z'", run_error({
            a = "\n{{ y.z.w }}" }, "a", { y = {} }))
        assert.matches("^a:1: for: expected a list or an iterator, got nil", run_error({
            a = "{% for x in y.z %}{% end %}" }, "a", { y = {} }))
        assert.matches("cannot import name 'nothing' from 'tornado.escape'", run_error({
            a = "{% from tornado.escape import nothing %}" }, "a"))
    end)

    it("name the file and line, and those that included it", function()
        local files = {
            ["base.html"] = "\n{% block a %}{% end %}\n{% include sub.html %}",
            ["sub.html"] = "{% if bad %}\n\n{{ error('oops') }}{% end %}",
            ["child.html"] = "{% extends base.html %}\n\n{% block a %}{{\n\n nothing }}{% end %}",
        }
        assert.equal("sub.html:3 (via base.html:3): oops", run_error(files, "base.html",
            { bad = true }))
        assert.equal("child.html:5 (via base.html:2): name 'nothing' is not defined", run_error(
            files, "child.html"))
    end)

    it("keep the traceback, with templates' lines", function()
        local err = run_error({ a = "\n{% include b %}", b = "\n\n{{ f() }}" }, "a", {
            f = function() error("deep") end })
        local text = trace.take(err)
        assert.matches("errors_spec.lua:%d+: deep", err)
        assert.matches("b:3 %(via a:2%): in function <a>", text)
        assert.is_nil(text:find("tt#", 1, true))
        assert.is_nil(trace.take(err))
    end)

    it("leave raised objects as they are", function()
        local object = {}
        assert.equal(object, run_error({ a = "{{ error(object) }}" }, "a", { object = object }))
    end)
end)
