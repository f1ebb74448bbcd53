-- tornado.httputil: headers, start lines, query strings, cookies, dates. The rows are
-- those of PARITY §1.5, §4 and §32; golden strings are Tornado's.
local core = require "tornado.core"
local httputil = require "tornado.httputil"
local util = require "tornado.util"

local steps = dofile "spec/tornado/steps.lua"

local HTTPHeaders = httputil.HTTPHeaders

local function message_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return tostring(err)
end

local function assert_input_error(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.is_true(util.isinstance(err, httputil.HTTPInputError), tostring(err))
    return err.message
end

local function all(headers)
    local list = {}
    for name, value in headers:get_all() do list[#list + 1] = { name, value } end
    return list
end

local function assert_linear(fn, make)
    local small, large = steps(fn, make(2000)), steps(fn, make(8000))
    assert(large <= small * 5 + 50, small .. " steps, then " .. large)
end

describe("HTTPHeaders", function()
    it("is a multimap in order of first insertion, case-insensitive", function()
        local h = HTTPHeaders()
        h:add("content-type", "text/html")
        h:add("Set-cookie", "A=B")
        h:add("ETag", "x")
        h:add("SET-COOKIE", "C=D")
        assert.equal("A=B,C=D", h:get "set-cookie")
        assert.same({ "A=B", "C=D" }, h:get_list "set-cookie")
        assert.same({
            { "Content-Type", "text/html" }, { "Set-Cookie", "A=B" }, { "Set-Cookie", "C=D" },
            { "Etag", "x" },
        }, all(h))
        assert.same({ "Content-Type", "Set-Cookie", "Etag" }, h:names())
        assert.is_true(h:has "etag")
        assert.is_nil(h:get "Foo")
        assert.equal("none", h:get("Foo", "none"))
        assert.same({}, h:get_list "Foo")
        assert.equal("Content-Type: text/html\nSet-Cookie: A=B\nSet-Cookie: C=D\nEtag: x",
            tostring(h))
    end)

    it("sets, removes and joins again after an addition", function()
        local h = HTTPHeaders { { "A", "1" }, { "B", "2" }, { "a", "3" } }
        assert.equal("1,3", h:get "A")
        h:add("A", "4")
        assert.equal("1,3,4", h:get "A")
        h:set("A", "5")
        assert.same({ { "A", "5" }, { "B", "2" } }, all(h))
        assert.is_true(h:remove "a")
        assert.is_false(h:remove "a")
        assert.same({ { "B", "2" } }, all(h))
        h:add("A", 6)
        assert.same({ { "B", "2" }, { "A", "6" } }, all(h))
        assert.equal("6", h:setdefault("A", "7"))
        assert.equal("8", h:setdefault("C", "8"))
    end)

    it("takes maps, lists and other headers", function()
        local h = HTTPHeaders { B = "2", A = { "1", "3" } }
        assert.same({ { "A", "1" }, { "A", "3" }, { "B", "2" } }, all(h))
        local copy = h:copy()
        copy:add("A", "4")
        copy:set("B", "5")
        assert.equal("1,3", h:get "A")
        assert.equal("2", h:get "B")
        h:update { a = "9" }
        assert.equal("9", h:get "A")
        assert.matches("expected HTTPHeaders or table", message_of(HTTPHeaders, 1))
    end)

    it("writes names as Capitalized-Words", function()
        local h = HTTPHeaders()
        for _, name in ipairs { "sec-websocket-ACCEPT", "WWW-Authenticate", "x_y-1a", "--a" } do
            h:add(name, "")
        end
        assert.same({ "Sec-Websocket-Accept", "Www-Authenticate", "X_y-1a", "--A" }, h:names())
    end)

    it("refuses names and values that would change the message, at the caller's line", function()
        local h = HTTPHeaders()
        for _, name in ipairs { "", "a b", "a:", " a", "a\r\n", "a\0", "é", "a\n" } do
            assert.matches("httputil_spec.lua:%d+: bad header name",
                message_of(function() h:add(name, "x") end))
            assert.is_false(pcall(h.set, h, name, "x"))
        end
        for code = 0, 127 do
            local legal = code == 9 or code > 31 and code < 127
            local value = "a" .. string.char(code) .. "b"
            assert.equal(legal, (pcall(h.set, h, "A", value)))
            assert.equal(legal, (pcall(h.add, h, "A", value)))
        end
        assert.is_true(pcall(h.set, h, "A", "\128\255"))
        assert.matches('httputil_spec.lua:%d+: bad header value: .*"c\\r\\nd"',
            message_of(function() h:set("A", "c\r\nd") end))
        assert.matches("got 1.5", message_of(h.set, h, "A", 1.5))
        assert.matches("got table", message_of(h.add, h, "A", {}))
        assert.matches("httputil_spec.lua:%d+: bad header value",
            message_of(function() local _ = HTTPHeaders { A = "\n" } end))
        assert.matches("httputil_spec.lua:%d+: bad header value",
            message_of(function() h:update { { "A", "\n" } } end))
    end)

    it("parses header blocks", function()
        local h = HTTPHeaders.parse("Foo: bar\r\nBaz:\t qux \t\r\nfoo: even\n\r\n")
        assert.same({ { "Foo", "bar" }, { "Foo", "even" }, { "Baz", "qux" } }, all(h))
        assert.equal("\194\160a\194\133", HTTPHeaders.parse("A: \194\160a\194\133"):get "A")
        assert.equal("", HTTPHeaders.parse("A:\r\n"):get "A")
        assert.equal("b:c", HTTPHeaders.parse("A: b:c"):get "A")
    end)

    it("unfolds continued lines", function()
        local h = HTTPHeaders.parse("Foo: bar\r\n baz\r\nAsdf: qwer\r\n\tzxcv\r\nFoo: even\r\n"
            .. "     more\r\n     lines\r\n")
        assert.same({
            { "Foo", "bar baz" }, { "Foo", "even more lines" }, { "Asdf", "qwer zxcv" },
        }, all(h))
        h = HTTPHeaders()
        h:parse_line("A: 1\r\n")
        h:parse_line("  2 \r\n")
        h:parse_line("A: 3")
        h:parse_line("\t4\n")
        assert.equal("1 2,3 4", h:get "a")
    end)

    it("raises HTTPInputError for malformed lines", function()
        local parse = HTTPHeaders.parse
        assert.equal("first header line cannot start with whitespace",
            assert_input_error(parse, " a: b\r\n"))
        assert.equal("no colon in header line", assert_input_error(parse, "abc\r\n"))
        for _, bad in ipairs {
            "Host : a", ": a", "a b: c", "A: b\rc", "A: b\0c", "A: b\127", "A: b\n \1", "A\12: b",
        } do
            assert_input_error(parse, bad .. "\r\n")
        end
    end)

    it("takes linear time for repeated and folded headers (CVE-2025-67725)", function()
        local parse = HTTPHeaders.parse
        assert_linear(parse, function(n) return ("X: y\r\n"):rep(n) end)
        assert_linear(parse, function(n) return "X: y\r\n" .. (" z\r\n"):rep(n) end)
        assert_linear(parse, function(n)
            local lines = {}
            for i = 1, n do lines[i] = "X" .. i .. ": y\r\n" end
            return table.concat(lines)
        end)
        local h = HTTPHeaders()
        for i = 1, 100000 do h:add("X", tostring(i)) end
        assert.equal(100000, #h:get_list "x")
        assert.equal("1,2,3,", h:get("X"):sub(1, 6))
    end)
end)

describe("start lines", function()
    it("of requests", function()
        local parse = httputil.parse_request_start_line
        assert.same({ method = "GET", path = "/foo", version = "HTTP/1.1" },
            parse "GET /foo HTTP/1.1")
        for _, bad in ipairs {
            "GET  / HTTP/1.1", "GET /a b HTTP/1.1", "GE,T / HTTP/1.1", "GET /\1 HTTP/1.1",
            "GET / HTTP/2.0", "GET /", "", "GET / HTTP/1.1 ", "GET / http/1.1",
        } do
            assert_input_error(parse, bad)
        end
    end)

    it("of responses", function()
        local parse = httputil.parse_response_start_line
        assert.same({ version = "HTTP/1.1", code = 200, reason = "OK" }, parse "HTTP/1.1 200 OK")
        assert.same({ version = "HTTP/1.0", code = 404 }, parse "HTTP/1.0 404 ")
        assert.same({ version = "HTTP/1.0", code = 404 }, parse "HTTP/1.0 404")
        for _, bad in ipairs { "HTTP/2.0 200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 200OK", "x",
            "HTTP/1.1 200 O\rK" } do
            assert_input_error(parse, bad)
        end
    end)
end)

describe("query strings", function()
    it("become lists by name", function()
        assert.same({ x = { "+ 1" }, y = { "" }, [""] = { "z" }, q = { "1", "2" } },
            httputil.parse_qs "x=%2B+1&y&=z&&q=1&q=2")
        assert.same({ a = { "1;b=2" } }, httputil.parse_qs "a=1;b=2")
        assert.same({ a = { "%zz" } }, httputil.parse_qs "a=%zz")
        assert.same({}, httputil.parse_qs "")
    end)

    it("have at most 1000 arguments", function()
        assert.equal(1000, #httputil.parse_qs(("a&"):rep(1000)).a)
        assert.equal("too many arguments", assert_input_error(httputil.parse_qs, ("a&"):rep(1001)))
    end)

    it("come from bodies", function()
        local arguments = { a = { "1" } }
        local parse = httputil.parse_body_arguments
        parse("application/x-www-form-urlencoded; charset=utf-8", "a=2&b=", arguments, {})
        assert.same({ a = { "1", "2" }, b = { "" } }, arguments)
        parse("text/plain", "c=1", arguments, {})
        assert.is_nil(arguments.c)
        assert.matches("Unsupported Content%-Encoding", assert_input_error(parse,
            "application/x-www-form-urlencoded", "a=1", {}, {},
            HTTPHeaders { ["Content-Encoding"] = "gzip" }))
        assert_input_error(parse, "application/x-www-form-urlencoded", ("a&"):rep(1001), {}, {})
    end)

    it("are iterated as pairs", function()
        local list = {}
        for name, value in httputil.qs_to_qsl { a = { "1", "2" }, b = {}, c = { "3" } } do
            list[#list + 1] = name .. value
        end
        table.sort(list)
        assert.same({ "a1", "a2", "c3" }, list)
    end)
end)

describe("url_concat", function()
    local concat = httputil.url_concat

    it("appends arguments", function()
        local pairs_list = { { "y", "y" }, { "z", "z" } }
        for url, expected in pairs {
            ["https://localhost/path"] = "https://localhost/path?y=y&z=z",
            ["https://localhost/path?"] = "https://localhost/path?y=y&z=z",
            ["https://localhost/path?x"] = "https://localhost/path?x=&y=y&z=z",
            ["https://localhost/path?x&"] = "https://localhost/path?x=&y=y&z=z",
            ["https://localhost/path?a=1&b=2"] = "https://localhost/path?a=1&b=2&y=y&z=z",
            ["https://localhost/path?r=1&t=2#tab"] = "https://localhost/path?r=1&t=2&y=y&z=z#tab",
        } do
            assert.equal(expected, concat(url, pairs_list))
        end
        assert.equal("/p?y=%2Fy&y=y+y", concat("/p", { { "y", "/y" }, { "y", "y y" } }))
        assert.equal("/p?a=1&b=true&c=x&c=y", concat("/p", { b = true, a = 1, c = { "x", "y" } }))
        assert.equal("/p?r=1&t=2", concat("/p?r=1&t=2", {}))
        assert.equal("/p?x#y", concat("/p?x#y", nil))
    end)

    it("refuses other types", function()
        for _, bad in ipairs { 1, { "a" }, { { "a" } }, { { "a", {} } }, { a = print } } do
            assert.matches("httputil_spec.lua:%d+: bad argument",
                message_of(function() concat("/p", bad); return nil end))
        end
    end)
end)

describe("format_timestamp", function()
    it("writes HTTP dates", function()
        local expected = "Sun, 27 Jan 2013 18:43:20 GMT"
        assert.equal(expected, httputil.format_timestamp(1359312200))
        assert.equal(expected, httputil.format_timestamp(1359312200.503611))
        assert.equal(expected, httputil.format_timestamp(os.date("!*t", 1359312200)))
        for _, time in ipairs { 0, 951782400, 4107542399, 68256000, 1e9 } do
            assert.equal(httputil.format_timestamp(time),
                httputil.format_timestamp(os.date("!*t", time)))
        end
        assert.matches("bad time", message_of(httputil.format_timestamp, "x"))
        assert.matches("bad time", message_of(httputil.format_timestamp, {}))
    end)

    it("knows times before 1970, and refuses those without a date", function()
        assert.equal("Wed, 31 Dec 1969 23:59:59 GMT", httputil.format_timestamp(-1))
        assert.equal("Mon, 01 Jan 0001 00:00:00 GMT", httputil.format_timestamp(-62135596800))
        for _, time in ipairs { 0 / 0, 1 / 0, -1 / 0, 253402300800, -62135596801, 1e300 } do
            assert.matches("httputil_spec.lua:%d+: bad time: expected one of the years",
                message_of(function() httputil.format_timestamp(time) return nil end))
            assert.matches("httputil_spec.lua:%d+: bad time", message_of(function()
                httputil.format_cookie("k", "v", { expires = time })
                return nil
            end))
            assert.equal(29, #core.http_date(time))
        end
    end)
end)

describe("parameters", function()
    local parse, encode = httputil._parse_header, httputil._encode_header

    it("are parsed", function()
        local key, params = parse('form-data; foo="b\\\\a\\"r"; File="foo;bar.txt"; x=1')
        assert.equal("form-data", key)
        assert.same({ foo = 'b\\a"r', file = "foo;bar.txt", x = "1" }, params)
        key, params = parse "permessage-deflate; server_no_context_takeover;a=; =b"
        assert.equal("permessage-deflate", key)
        assert.same({ server_no_context_takeover = true, a = "", [""] = "b" }, params)
        assert.same({ "text/html", {} }, { parse "text/html" })
    end)

    it("may be extended (RFC 8187) or in sections (RFC 2231)", function()
        local _, params = parse "attachment; filename*=UTF-8''%C3%A9.txt; filename=\"e.txt\""
        assert.equal("é.txt", params.filename)
        _, params = parse "a; filename=\"e.txt\"; filename*=iso-8859-1'en'%E9.txt"
        assert.equal("é.txt", params.filename)
        for value, text in pairs { ["UTF-8''%ff.txt"] = "\239\191\189.txt", ["x''%E9"] = "é",
            ["x''%C3%A9"] = "é", ["utf-8''%C3"] = "\239\191\189" } do
            _, params = parse("a; filename*=" .. value)
            assert.equal(text, params.filename)
        end
        _, params = parse 'a; f*0="x;"; f*1=y; g*0*=UTF-8\'\'%C3%A9; g*1="%41"'
        assert.same({ f = "x;y", g = "é%41" }, params)
    end)

    it("keep odd file names", function()
        for _, name in ipairs { "a;b.txt", 'a"b.txt', 'a";b.txt', 'a;"b.txt', 'a";";.txt',
            'a\\"b.txt', "a\\b.txt", "a b.txt", "a\tb.txt", "a\\" } do
            local quoted = name:gsub('[\\"]', "\\%0")
            local _, params = parse('form-data; name="f"; filename="' .. quoted .. '"; z=1')
            assert.same({ name = "f", filename = name, z = "1" }, params)
        end
    end)

    it("are encoded in order of their names", function()
        assert.equal("k", encode("k", {}))
        assert.equal("permessage-deflate; client_max_window_bits=15; client_no_context_takeover",
            encode("permessage-deflate",
                { client_no_context_takeover = true, client_max_window_bits = 15 }))
    end)

    it("are parsed in linear time (CVE-2025-67726)", function()
        assert_linear(parse, function(n) return 'a; b="' .. (";"):rep(n) end)
        assert_linear(parse, function(n) return "a" .. ('; b="'):rep(n) end)
        assert_linear(parse, function(n) return 'a; b="' .. ('\\"'):rep(n) .. '"' end)
    end)
end)

describe("split_host_and_port", function()
    it("splits at the last colon before digits", function()
        for netloc, expected in pairs {
            ["a:80"] = { "a", 80 }, ["[::1]:80"] = { "[::1]", 80 }, ["a:b"] = { "a:b" },
            ["[::1]"] = { "[::1]" }, a = { "a" }, ["a:"] = { "a:" },
        } do
            assert.same(expected, { httputil.split_host_and_port(netloc) })
        end
    end)
end)

describe("parse_cookie", function()
    local parse = httputil.parse_cookie

    it("reads what Tornado reads", function()
        assert.same({
            a = "2", b = "x;y", [""] = "novalue", ["c[]"] = "1", d = "e",
        }, parse 'a=1; b="x\\073y"; =v; novalue; a=2; c[]=1; d = e')
        assert.same({ chips = "ahoy", vienna = "finger" }, parse "chips=ahoy; vienna=finger")
        assert.same({ foo = '"a', [""] = 'b"' }, parse 'foo="a;b"')
        assert.same({ keebler = 'E=mc2; L="Loves"; fudge=\n;' },
            parse 'keebler="E=mc2\\073 L=\\"Loves\\"\\073 fudge=\\012\\073"')
        assert.same({ keebler = "E=mc2" }, parse "keebler=E=mc2")
        assert.same({ key = 'a\\073"' }, parse 'key=a\\073"')
        assert.same({ a = "\\x9" }, parse 'a="\\\\x9"')
        assert.same({}, parse "")
        assert.same({}, parse " ; ;; = ;")
    end)

    it("takes linear time (CVE-2024-7592)", function()
        for _, piece in ipairs { ";", "a;", '\\"', "\\", "a=b;", "   ", " = " } do
            assert_linear(parse, function(n) return 'a="' .. piece:rep(n) .. '"' end)
            assert_linear(parse, function(n) return piece:rep(n) .. ";a=b" end)
        end
    end)
end)

describe("format_cookie", function()
    local format = httputil.format_cookie

    it("quotes values as Python does", function()
        for value, expected in pairs {
            ["blah"] = "k=blah; Path=/", [""] = 'k=""; Path=/', ["a=b"] = 'k="a=b"; Path=/',
            ['q"x;y'] = 'k="q\\"x\\073y"; Path=/', ["a\\,"] = 'k="a\\\\\\054"; Path=/',
            ["\233\127"] = 'k="\\351\\177"; Path=/', ["2|1:0"] = "k=2|1:0; Path=/",
            ["()/<=>?@[]{}"] = 'k="()/<=>?@[]{}"; Path=/',
        } do
            assert.equal(expected, format("k", value))
            assert.equal(value, httputil.parse_cookie(expected).k)
        end
    end)

    it("writes the attributes in order", function()
        assert.equal('k=v; Domain=x.org; expires=Thu, 01 Jan 1970 00:00:10 GMT; HttpOnly; '
            .. 'Max-Age=5; Partitioned; Path=/p; SameSite=Strict; Secure', format("k", "v", {
                domain = "x.org", expires = 10, httponly = true, max_age = 5, partitioned = true,
                path = "/p", samesite = "Strict", secure = true, expires_days = 3,
            }))
        assert.equal("k=v", format("k", "v", { path = false, httponly = false, domain = "" }))
    end)

    it("honours zeros, dates and days", function()
        assert.equal("k=v; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/",
            format("k", "v", { expires = 0, max_age = 0 }))
        assert.equal("k=v; expires=Sun, 27 Jan 2013 18:43:20 GMT; Path=/", format("k", "v",
            { expires = os.date("!*t", 1359312200) }))
        local text = format("k", "v", { expires_days = 0 })
        assert.matches("^k=v; expires=%a%a%a, %d%d %a%a%a %d%d%d%d [%d:]+ GMT; Path=/$", text)
        local tomorrow = httputil.format_timestamp(os.time() + 86400):sub(1, 16)
        assert.matches(tomorrow, format("k", "v", { expires_days = 1 }), 1, true)
    end)

    it("refuses what a cookie cannot hold, at the caller's line", function()
        local cases = {
            { "a b", "c" }, { "", "c" }, { "a;", "c" }, { "a=", "c" }, { "\1", "c" },
            { "Path", "c" }, { "a", "b c" }, { "a", "b\n" }, { "a", "\0" }, { "a", 1 },
            { "a", "b", { domain = "a;b" } }, { "a", "b", { path = "/ x" } },
            { "a", "b", { path = "/\127" } }, { "a", "b", { samesite = "Lax;" } },
            { "a", "b", { samesite = "maybe" } }, { "a", "b", { max_age = "5" } },
            { "a", "b", { max_age = 1.5 } }, { "a", "b", { expires = "now" } },
            { "a", "b", { expires_days = "1" } }, { "a", "b", { partitioned = true } },
            { "__Host-a", "b" }, { "__Host-a", "b", { secure = true, path = "/x" } },
            { "__host-a", "b", { secure = true, domain = "x.org" } }, { "__Secure-a", "b" },
        }
        for _, case in ipairs(cases) do
            assert.matches("httputil_spec.lua:%d+: bad cookie",
                message_of(function() local _ = format(case[1], case[2], case[3]) end))
        end
        assert.matches('httputil_spec.lua:%d+: .* %(did you mean "httponly"%?%)',
            message_of(function() local _ = format("a", "b", { htponly = true }) end))
        assert.equal("__Host-a=b; Path=/; Secure", format("__Host-a", "b", { secure = true }))
        assert.equal("__Secure-a=b; Path=/x; Secure",
            format("__Secure-a", "b", { secure = true, path = "/x" }))
    end)
end)

describe("responses", function()
    it("has the reasons of all registered codes", function()
        for code, reason in pairs {
            [103] = "Early Hints", [200] = "OK", [404] = "Not Found", [418] = "I'm a Teapot",
            [421] = "Misdirected Request", [422] = "Unprocessable Entity", [425] = "Too Early",
            [426] = "Upgrade Required", [428] = "Precondition Required",
            [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
            [451] = "Unavailable For Legal Reasons", [507] = "Insufficient Storage",
            [508] = "Loop Detected", [511] = "Network Authentication Required",
        } do
            assert.equal(reason, httputil.responses[code])
        end
    end)

    it("reads single ranges as slices", function()
        local cases = {
            { "bytes=1-2", 1, 3 }, { "bytes=6-", 6, nil }, { "bytes=-6", -6, nil },
            { "bytes=-0", nil, 0 }, { "bytes=", nil, nil }, { "bytes = 3 - 4", 3, 5 },
            { "bytes=7", 7, nil }, { "foo=42", false }, { "bytes=1-2,6-10", false },
            { "bytes=+1-2", false }, { "bytes=1 2", false }, { "", false },
        }
        for _, case in ipairs(cases) do
            assert.same({ case[2], case[3] }, { httputil._parse_request_range(case[1]) })
        end
        assert.equal("bytes 0-0/4", httputil._get_content_range(nil, 1, 4))
        assert.equal("bytes 1-2/4", httputil._get_content_range(1, 3, 4))
        assert.equal("bytes 1-3/4", httputil._get_content_range(1, nil, 4))
    end)

    it("joins a name and a password", function()
        assert.equal("a:b", httputil.encode_username_password("a", "b"))
    end)
end)
