-- tornado.routing: order, captures, hosts and reversing, after PARITY §26.
local core = require "tornado.core"
local routing = require "tornado.routing"
local util = require "tornado.util"

local Router = routing.Router

local function message_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return tostring(err)
end

local function target() end

-- The name of the rule found, and its captures.
local function found(router, path, host)
    local rule, args = router:find(path, host)
    return rule and rule.name, args
end

describe("Router:find", function()
    it("takes the first rule that matches, literal or not", function()
        local router = Router {
            { "/", target, nil, "root" },
            { "/a/([a-z]+)", target, nil, "letters" },
            { "/a/b", target, nil, "late literal" },
            { "/a/1", target, nil, "literal" },
            { "/a/([0-9])", target, nil, "digit" },
            { "/a/1", target, nil, "twice" },
            { "/.*", target, nil, "rest" },
            { "/z", target, nil, "never" },
        }
        assert.equal("root", found(router, "/"))
        assert.equal("letters", found(router, "/a/b"))
        assert.equal("literal", found(router, "/a/1"))
        assert.equal("digit", found(router, "/a/2"))
        assert.equal("rest", found(router, "/z"))
        assert.is_nil(found(router, ""))
    end)

    it("matches the whole path", function()
        local router = Router {
            { "/foo", target, nil, "foo" }, { "/bar/?", target, nil, "bar" },
            { "^/anchored$", target, nil, "anchored" }, { "/x|/y", target, nil, "either" },
            { "/a\\.b\\-c\\/d", target, nil, "escaped" }, { "/dot.txt", target, nil, "dot" },
            { "/cost\\$", target, nil, "dollar" },
        }
        for path, name in pairs {
            ["/foo"] = "foo", ["/bar"] = "bar", ["/bar/"] = "bar", ["/anchored"] = "anchored",
            ["/x"] = "either", ["/y"] = "either", ["/a.b-c/d"] = "escaped", ["/dotxtxt"] = "dot",
            ["/cost$"] = "dollar",
        } do
            assert.equal(name, found(router, path))
        end
        for _, path in ipairs { "/foo/", "/foox", "x/foo", "/bar//", "/xz", "/aXb-c/d", "//foo",
            "/cost", "/cost$x" } do
            assert.is_nil(found(router, path))
        end
    end)

    it("captures by position", function()
        local router = Router {
            { "/n/([^/]+)/?(b)?/?(c)?", target }, { "/p()", target },
        }
        local _, args = router:find "/n/a%2Fb+c%20d"
        assert.same({ n = 3, "a/b+c d" }, args)
        _, args = router:find "/n/a/c"
        assert.same({ n = 3, [1] = "a", [3] = "c" }, args)
        _, args = router:find "/p"
        assert.same({ n = 1, "" }, args)
    end)

    it("captures by name", function()
        local router = Router { { "/(?P<year>[0-9]+)(?:-(?P<month>[0-9%]+))?", target } }
        local _, args = router:find "/2024-1%32"
        assert.same({ named = { year = "2024", month = "12" } }, args)
        _, args = router:find "/2024"
        assert.same({ named = { year = "2024" } }, args)
    end)

    it("gives the rule with its target and kwargs", function()
        local kwargs = { path = "x" }
        local router = Router { { "/a", target, kwargs }, { "/b", target, name = "b" } }
        local rule, args = router:find "/a"
        assert.equal(target, rule.target)
        assert.equal(target, rule.handler_class)
        assert.equal(kwargs, rule.kwargs)
        assert.equal(kwargs, rule.target_kwargs)
        assert.is_nil(rule.name)
        assert.is_nil(args)
        assert.equal("b", found(router, "/b"))
        assert.is_nil(router:find("/b").kwargs)
    end)

    it("treats %XX of unreserved characters as the characters", function()
        local router = Router {
            { "/~user/a%c3%A9", target, nil, "literal" },
            { "/%7Ex/([0-9]+)", target, nil, "regex" },
            { "/a%2Eb/(x)", target, nil, "dot" }, { "/q%2f", target, nil, "slash" },
        }
        assert.equal("literal", found(router, "/%7euser/%61%C3%a9"))
        assert.equal("literal", found(router, "/~user/a%C3%A9"))
        assert.same({ "regex", { n = 1, "42" } }, { found(router, "/~x/%342") })
        assert.equal("dot", found(router, "/a.b/x"))
        assert.is_nil(found(router, "/aXb/x"))
        assert.equal("slash", found(router, "/q%2F"))
        assert.is_nil(found(router, "/q/"))
    end)

    it("goes into routers and lists, and on when they have nothing", function()
        local inner = Router { { "/api/a", target, nil, "api a" } }
        local router = Router {
            { "/api/.*", inner },
            { "/api/x", { { "/api/x", target, nil, "list" } } },
            { routing.AnyMatches(), { { "/any", target, nil, "any" } } },
            { "/api/b", target, nil, "after" },
            { routing.HostMatches "h", { { "/host", target, nil, "host" } } },
        }
        assert.equal("api a", found(router, "/api/a"))
        assert.equal("list", found(router, "/api/x"))
        assert.equal("any", found(router, "/any"))
        assert.equal("after", found(router, "/api/b"))
        assert.equal("host", found(router, "/host", "h"))
        assert.is_nil(found(router, "/host", "g"))
        inner:add("/api/late", target, nil, "late")
        assert.equal("late", found(router, "/api/late"))
    end)

    it("imports targets by dotted name", function()
        local router = Router { { "/", "tornado.util.TimeoutError" } }
        assert.equal(util.TimeoutError, router:find("/").target)
    end)

    it("allocates nothing for a literal", function()
        local router = Router { { "/", target }, { "/a", target }, { "/(x)", target } }
        local function run(n) for _ = 1, n do router:find "/a" end end
        run(1000)
        collectgarbage()
        collectgarbage "stop"
        local before = collectgarbage "count"
        run(10000)
        local after = collectgarbage "count"
        collectgarbage "restart"
        assert(after - before < 8, after - before .. " KiB")
    end)

    it("tries no regex before a literal that comes first", function()
        local tried = 0
        local Counting = routing.Matcher:extend "Counting"
        function Counting:match()
            tried = tried + 1
            return false
        end
        local router = Router { { "/a", target, nil, "a" }, { Counting(), target } }
        assert.equal("a", found(router, "/a"))
        assert.equal(0, tried)
        assert.is_nil(found(router, "/b"))
        assert.equal(1, tried)
    end)
end)

describe("Router:add_host", function()
    local router = Router { { "/", target, nil, "any" }, { "/only", target, nil, "only" } }
    router:add_host("ex\\.com", { { "/", target, nil, "ex" } })
    router:add_host("(www|m)\\.ex\\.com", { { "/", target, nil, "www" } })
    router:add_host("\\[::1\\]", { { "/", target, nil, "six" } })
    router:add_host("EX\\.org", { { "/", target, nil, "upper" } })

    it("comes before the rules of all hosts", function()
        for host, name in pairs {
            ["ex.com"] = "ex", ["EX.com:8080"] = "ex", ["www.ex.com"] = "www", ["m.ex.com"] = "www",
            ["[::1]:80"] = "six", ["[::1]"] = "six", ["ex.com.evil.com"] = "any", [""] = "any",
            ["exxcom"] = "any", ["xm.ex.com"] = "any", ["ex.org"] = "any",
        } do
            assert.equal(name, found(router, "/", host))
            assert.equal(name, found(router, "/", host))
        end
        assert.equal("any", found(router, "/"))
        assert.equal("only", found(router, "/only", "ex.com"))
        assert.is_true(router.has_hosts)
        assert.is_false(Router({ { "/", target } }).has_hosts)
    end)

    it("remembers a bounded number of hosts", function()
        for i = 1, 3000 do router:find("/", "h" .. i) end
        local count = 0
        for _ in pairs(router._host_memo) do count = count + 1 end
        assert(count <= 1000, count)
        assert.equal("ex", found(router, "/", "ex.com"))
    end)
end)

describe("Router:reverse", function()
    local function reverse_of(pattern, ...)
        return Router({ { pattern, target, nil, "n" } }):reverse("n", ...)
    end

    it("fills in the groups", function()
        assert.equal("/n/x%20y/1", reverse_of("/n/([^/]+)/([0-9]+)", "x y", 1))
        assert.equal("/a/b%2Bc", reverse_of("/(.*)", "a/b+c"))
        assert.equal("/robots.txt", reverse_of "/robots\\.txt")
        assert.equal("/x.json", reverse_of("/(\\w+).json", "x"))
        assert.equal("/2024/", reverse_of("^/(?P<year>\\d{4})/$", 2024))
        assert.equal("/a%20b/x", reverse_of("/a%20b/(.*)", "x"))
        assert.equal("/%C3%A9", reverse_of("/(.*)", "é"))
        assert.equal("/", reverse_of "/")
    end)

    it("refuses patterns that are not simple", function()
        for _, pattern in ipairs { "/\\d", "/a(?:b)(c)", "/((a)b)", "/(a(b))", "/x*", "/a|/b",
            "/[ab]", "/(a)?x?", "/\\(x\\)(y)" } do
            assert.matches("routing_spec.lua:%d+: Cannot reverse url regex " .. pattern:gsub("%p",
                "%%%0"), message_of(function() local _ = reverse_of(pattern, "1") end))
        end
    end)

    it("wants the right number of arguments", function()
        assert.matches("required number of arguments not found", message_of(reverse_of, "/(a)"))
        assert.matches("required number of arguments not found",
            message_of(reverse_of, "/(a)", 1, 2))
        assert.matches("bad argument 1", message_of(reverse_of, "/(a)", nil))
    end)

    it("finds names in hosts and nested routers, the last of a name winning", function()
        local router = Router {
            { "/in/.*", Router { { "/in/x", target, nil, "inner" } } },
            { "/a", target, nil, "a" },
        }
        router:add_host("h", { { "/h", target, nil, "host" } })
        assert.equal("/in/x", router:reverse "inner")
        assert.equal("/a", router:reverse_url "a")
        assert.equal("/h", router:reverse "host")
        assert.is_nil(router:reverse "none")
    end)

    it("warns of a name that is used twice", function()
        local warned
        local log = package.loaded["tornado.log"]
        package.loaded["tornado.log"] = {
            app_log = { warning = function(_, text, name) warned = text:format(name) end },
        }
        local router = Router { { "/a", target, nil, "n" }, { "/b", target, nil, "n" } }
        package.loaded["tornado.log"] = log
        assert.equal("Multiple handlers named n; replacing previous value", warned)
        assert.equal("/b", router:reverse "n")
    end)
end)

describe("bad rules", function()
    local function assert_bad(text, rules)
        local message = message_of(function() local _ = Router(rules) end)
        assert.matches("routing_spec.lua:%d+: ", message)
        assert.matches(text, message, 1, true)
    end

    it("are reported at the application's line", function()
        assert_bad('bad url pattern "/(": ', { { "/(", target } })
        assert_bad("offset 2", { { "/(", target } })
        assert_bad('bad url pattern "a)|(b": ', { { "a)|(b", target } })
        assert_bad('positional: "/(a)(?P<b>x)"', { { "/(a)(?P<b>x)", target } })
        assert_bad('bad rule 2, "/": its handler is nil', { { "/", target }, { "/" } })
        assert_bad("bad rule 2: expected {pattern, target", { { "/", target }, { 5 } })
        assert_bad("bad rule 1", { 5 })
        assert_bad("bad rules: expected a list", 5)
        assert_bad("bad pattern: expected string or regex, got number", { { 5, target } })
        assert_bad("bad kwargs: expected table or nil", { { "/", target, 5 } })
        local message = message_of(function() Router():add("/[", target) end)
        assert.matches("routing_spec.lua:%d+: bad url pattern", message)
        message = message_of(function() Router():add_host("(", {}) end)
        assert.matches("routing_spec.lua:%d+: bad host pattern", message)
    end)
end)

describe("URLSpec, Rule and matchers", function()
    it("have Tornado's attributes", function()
        local spec = routing.URLSpec("/x/(.*)", target, { a = 1 }, "x")
        assert.equal(target, spec.handler_class)
        assert.same({ a = 1 }, spec.kwargs)
        assert.equal("x", spec.name)
        assert.equal(1, spec.regex.groups)
        assert.equal("/x/y", spec:reverse "y")
        assert.is_true(spec:is(routing.Rule))
        local router = Router { spec, routing.Rule(routing.AnyMatches(), target, nil, "any") }
        assert.equal("x", found(router, "/x/1"))
        assert.equal("any", found(router, "/y"))
        assert.is_nil(router:reverse "any")
    end)

    it("take compiled regexes as they are", function()
        local router = Router { { core.regex "/pre(fix)", target, nil, "re" } }
        assert.same({ "re", { n = 1, "fix" } }, { found(router, "/prefixed") })
        assert.matches("Cannot reverse", message_of(router.reverse, router, "re", 1))
    end)

    it("tries no regular expression whose literal beginning does not fit", function()
        local router = routing.Router {
            { "/ab*", target }, { "/c{0,1}d", target }, { "/e|/f", target },
        }
        for path, matches in pairs {
            ["/a"] = true, ["/abb"] = true, ["/d"] = true, ["/cd"] = true, ["/e"] = true,
            ["/f"] = true, ["/b"] = false, ["/"] = false, ["/g"] = false,
        } do
            assert.equal(matches, router:find(path) ~= nil, path)
        end
    end)
end)
