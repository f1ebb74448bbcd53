-- tornado.escape: HTML, URLs, JSON, linkify. Expected values are Tornado's own, from its
-- escape_test and from the rows of PARITY §6.
local escape = require "tornado.escape"
local util = require "tornado.util"

local function message_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return tostring(err)
end

local function expect_all(fn, cases)
    for _, case in ipairs(cases) do assert.equal(case[2], fn(case[1])) end
end

describe("xhtml_escape", function()
    it("escapes the five characters", function()
        expect_all(escape.xhtml_escape, {
            { "<foo>", "&lt;foo&gt;" }, { "<>&\"'", "&lt;&gt;&amp;&quot;&#x27;" },
            { "&amp;", "&amp;amp;" }, { "<é>", "&lt;é&gt;" }, { "", "" },
        })
        assert.equal("5", escape.xhtml_escape(5))
        assert.matches("expected string, got table", message_of(escape.xhtml_escape, {}))
    end)
end)

describe("xhtml_unescape", function()
    it("undoes xhtml_escape", function()
        for _, text in ipairs { "<foo>", "<>&\"'", "&amp;", "<é>", "a & b" } do
            assert.equal(text, escape.xhtml_unescape(escape.xhtml_escape(text)))
        end
    end)

    it("reads numbers and leaves what is none", function()
        expect_all(escape.xhtml_unescape, {
            { "foo&#32;bar", "foo bar" }, { "foo&#x20;bar", "foo bar" },
            { "foo&#X20;bar", "foo bar" }, { "foo&#xabc;bar", "foo\224\170\188bar" },
            { "foo&#xyz;bar", "foo&#xyz;bar" }, { "foo&#;bar", "foo&#;bar" },
            { "foo&#x;bar", "foo&#x;bar" },
        })
    end)

    it("treats odd code points as HTML5 does", function()
        expect_all(escape.xhtml_unescape, {
            { "&#128;", "€" }, { "&#150;", "–" }, { "&#0;", "\239\191\189" },
            { "&#xD800;", "\239\191\189" }, { "&#x110000;", "\239\191\189" },
            { "&#99999999999999999999;", "\239\191\189" }, { "&#1;", "" }, { "&#xFFFE;", "" },
            { "&#13;", "\r" }, { "&#x1F600;", "\240\159\152\128" },
        })
    end)

    it("knows all names, the old ones without a semicolon too", function()
        expect_all(escape.xhtml_unescape, {
            { "&nbsp;", "\194\160" }, { "&copy", "©" }, { "&notit;", "¬it;" },
            { "&NotEqualTilde;", "≂\204\184" }, { "&apos;", "'" }, { "&hellip", "&hellip" },
            { "&CounterClockwiseContourIntegral;", "∳" }, { "&nosuch;", "&nosuch;" },
            { "&&amp;&", "&&&" },
        })
    end)
end)

describe("url_escape and url_unescape", function()
    it("escape bytes", function()
        expect_all(escape.url_escape, {
            { "é", "%C3%A9" }, { "\233", "%E9" }, { "+ #%", "%2B+%23%25" },
            { "a/b", "a%2Fb" }, { "Az09_.-~", "Az09_.-~" }, { 7, "7" },
        })
        assert.equal("%2B%20%23%25/", escape.url_escape("+ #%/", false))
    end)

    it("unescape", function()
        assert.equal("+ #%", escape.url_unescape("%2B+%23%25"))
        assert.equal("+ #%", escape.url_unescape("%2B%20%23%25", nil, false))
        assert.equal("a+b", escape.url_unescape("a+b", nil, false))
        assert.equal("%zz%", escape.url_unescape("%zz%"))
        assert.equal("\255", escape.url_unescape("%ff"))
        assert.equal("a\239\191\189é", escape.url_unescape("a%ff%C3%A9", "utf-8"))
        assert.equal("é" .. ("\239\191\189"):rep(3), escape.url_unescape("é\128\128\194", "utf-8"))
        assert.matches("bad encoding", message_of(escape.url_unescape, "a", "ebcdic"))
    end)
end)

describe("text helpers", function()
    it("squeeze white space and controls", function()
        assert.equal("sequences of whitespace chars",
            escape.squeeze("sequences     of    whitespace   chars"))
        assert.equal("a b", escape.squeeze(" \0\t a\r\n b\31"))
        assert.equal("", escape.squeeze(" \t"))
    end)

    it("check types and UTF-8", function()
        assert.is_nil(escape.utf8(nil))
        assert.equal("\233", escape.utf8("\233"))
        assert.matches("expected string or nil, got number", message_of(escape.utf8, 1))
        assert.is_nil(escape.to_unicode(nil))
        assert.equal("é", escape.to_unicode("é"))
        assert.matches("expected UTF%-8 text", message_of(escape.to_unicode, "\233"))
        assert.matches("expected string or nil", message_of(escape.to_unicode, {}))
        local value = { "a", { b = "é", c = 1 } }
        assert.equal(value, escape.recursive_unicode(value))
        assert.matches("UTF%-8", message_of(escape.recursive_unicode, { { "\233" } }))
    end)

    it("parse query strings", function()
        assert.same({ a = { "1", "2" }, b = { "x y" } }, escape.parse_qs_bytes("a=1&b=x+y&a=2"))
        assert.same({}, escape.parse_qs_bytes("a=&b"))
        assert.same({ a = { "" }, b = { "" } }, escape.parse_qs_bytes("a=&b", true))
        assert.same({ a = { "1;b=2" } }, escape.parse_qs_bytes("a=1;b=2"))
        assert.matches("bad query field", message_of(escape.parse_qs_bytes, "a=1&b", true, true))
    end)
end)

describe("json_encode", function()
    local encode = escape.json_encode

    it("writes what cjson writes", function()
        assert.equal('{"a":[1,2,{"b":null}]}', encode { a = { 1, 2, { b = escape.null } } })
        assert.equal("null", encode(nil))
        assert.equal("null", encode(escape.null))
        assert.equal("true", encode(true))
        assert.equal('"é"', encode("é"))
        assert.equal('"\\u0000\\u001f\\""', encode("\0\31\""))
    end)

    it("is safe inside a script element", function()
        assert.equal('"<\\/script>"', encode("</script>"))
        assert.equal('["\\u2028\\u2029 "]', encode { "\226\128\168\226\128\169 " })
        assert.equal('{"\\u2028":"' .. "\226\128\167" .. '"}',
            encode { ["\226\128\168"] = "\226\128\167" })
        local text = encode { ["<!--"] = "\\<!--<script>" }
        assert.equal([[{"\u003c!--":"\\\u003c!--<script>"}]], text)
        assert.same({ ["<!--"] = "\\<!--<script>" }, escape.json_decode(text))
    end)

    it("tells arrays from objects", function()
        assert.equal("{}", encode {})
        assert.equal("[]", encode(escape.array {}))
        assert.equal('{"x":[]}', encode { x = escape.array() })
        assert.equal("[1]", encode(escape.array { 1 }))
        assert.equal("{}", encode(escape.object {}))
        assert.equal('{"1":5}', encode(escape.object { 5 }))
        assert.is_true(escape.is_array(escape.array {}))
        assert.is_false(escape.is_array {})
        assert.matches("metatable", message_of(escape.array, util.Object()))
        assert.matches("expected table", message_of(escape.array, 1))
    end)

    it("writes integers exactly up to 2^53", function()
        local cases = {
            [0] = "0", [1e14] = "100000000000000", [99999999999999] = "99999999999999",
            [2 ^ 53] = "9007199254740992", [-2 ^ 53] = "-9007199254740992",
            [2 ^ 53 - 1] = "9007199254740991", [1e300] = "1e+300",
        }
        for number, text in pairs(cases) do
            assert.equal(text, encode(number))
            assert.equal("[" .. text .. "]", encode { number })
        end
    end)

    it("writes other numbers so that they read back the same", function()
        assert.equal("[0.1]", encode { 0.1 })
        assert.equal("[0.30000000000000004]", encode { 0.1 + 0.2 })
        assert.equal("[0.3333333333333333]", encode { 1 / 3 })
        assert.equal("[1300000000.123457]", encode { 1300000000.123457 })
        math.randomseed(1)
        for i = 1, 20000 do
            local number = (math.random() - 0.5) * 10 ^ math.random(-20, 20)
            if i % 2 == 0 then number = math.floor(number * 1e4) / 1e4 end
            assert(tonumber(encode(number)) == number, encode(number))
            assert(tonumber(encode({ number }):sub(2, -2)) == number)
        end
    end)

    it("names the path to what it cannot write", function()
        local cycle = {}
        cycle.x = { y = cycle }
        local deep = {}
        for _ = 1, 64 do deep = { deep } end
        local cases = {
            { { user = { callback = print } }, "a function at .user.callback" },
            { { 1, nil, 3 }, "a sparse array at the top" },
            { { a = { [5] = 1 } }, "a sparse array at .a" },
            { { 1, x = 2 }, "a table with mixed keys at the top" },
            { { { 1, { x = 1, [1] = 2 } } }, "a table with mixed keys at [1][2]" },
            { cycle, "a table that contains itself at .x.y" },
            { { 0 / 0 }, "NaN at [1]" }, { 0 / 0, "NaN at the top" },
            { { a = 1 / 0 }, "an infinite number at .a" },
            { { ["a b"] = { "\255" } }, 'a string that is not UTF-8 at ["a b"][1]' },
            { { [true] = 1 }, "with the key true (a boolean)" },
            { { a = { [1.5] = 1 } }, "with the key 1.5 (a number)" },
            { escape.array { x = 1 }, "an array with other keys" },
            { escape.object { 5, ["1"] = 6 }, "with the key 1 (a number)" },
            { { a = io.stdout }, "a userdata at .a" },
            { { a = require("ffi").new("int") }, "a cdata at .a" },
            { { a = require("ffi").new("void *") }, "a cdata at .a" },
            { deep, "tables more than 64 deep at [1]" },
        }
        for _, case in ipairs(cases) do
            local text = message_of(function() encode(case[1]) end)
            assert.matches("json_encode: cannot encode ", text, 1, true)
            assert.matches(case[2], text, 1, true)
            assert.matches("escape_spec.lua:%d+: ", text)
        end
    end)

    it("gives the same text on both of its ways", function()
        local value = { 1, "é</", { a = { b = { true, escape.null, 1.5, {} } } } }
        local fast = encode(value)
        value[4] = 1e15
        assert.equal(fast:sub(1, -2) .. ",1000000000000000]", encode(value))
    end)
end)

describe("json_decode", function()
    local decode = escape.json_decode

    it("reads JSON", function()
        assert.equal("foo", decode '"foo"')
        assert.equal("é", decode '"\\u00e9"')
        assert.same({ a = { 1, 2 }, b = { c = true } }, decode '{"a":[1,2],"b":{"c":true}}')
        assert.equal(escape.null, decode "null")
        assert.equal(escape.null, decode("[null]")[1])
        assert.equal(9007199254740991, decode "9007199254740991")
    end)

    it("raises JSONError with the offset", function()
        local bad = {
            "", "[1", '{"a":1,}', "[01]", "[0x10]", "[NaN]", "[Infinity]", "[1] x", "[+1]",
            "[.5]", "{a:1}", "'a'", '"\\x"', '"\\ud800"', '"\255"', '{"\237\160\128":1}',
            ("["):rep(65) .. ("]"):rep(65),
        }
        for _, text in ipairs(bad) do
            local ok, err = pcall(decode, text)
            assert.is_false(ok, text)
            assert.is_true(util.isinstance(err, escape.JSONError))
        end
        for _, text in ipairs { "1e999", "[-1e400]", '{"a":[{"b":1E+309}]}', ("9"):rep(400) } do
            local ok, err = pcall(decode, text)
            assert.is_false(ok, text)
            assert.matches("a number is too large", tostring(err))
        end
        assert.same({ 1e308, -1e308, 1e-999, 1e30 }, decode("[1e308, -1E+308, 1e-999, 1" ..
            ("0"):rep(30) .. "]"))
        local _, err = pcall(decode, '{"a":1,}')
        assert.equal(8, err.offset)
        assert.matches("^JSONError: json_decode: ", tostring(err))
        assert.matches("expected string, got nil", message_of(decode))
        assert.is_table(decode(("["):rep(64) .. ("]"):rep(64)))
    end)
end)

describe("linkify", function()
    local LONG = "http://reallylong.com/link/that/exceedsthelenglimit.html"
    local DOMAIN = "http://reallylongdomainnamethatwillbetoolong.com/hi"

    local function link(url, rest)
        return '<a href="' .. url .. '">' .. url .. "</a>" .. (rest or "")
    end

    -- input, expected, options
    local cases = {
        { "hello http://world.com/!", "hello " .. link("http://world.com/", "!") },
        { "hello http://world.com/with?param=true&stuff=yes",
            "hello " .. link "http://world.com/with?param=true&amp;stuff=yes" },
        { "http://url.com/w(" .. ("a"):rep(40),
            link("http://url.com/w", "(" .. ("a"):rep(40)) },
        { "http://url.com/withmany" .. ("."):rep(39),
            link("http://url.com/withmany", ("."):rep(39)) },
        { "http://url.com/withmany" .. ("("):rep(34) .. "a)",
            link("http://url.com/withmany", ("("):rep(34) .. "a)") },
        { "http://foo.com/blah_blah", link "http://foo.com/blah_blah" },
        { "http://foo.com/blah_blah/", link "http://foo.com/blah_blah/" },
        { "(Something like http://foo.com/blah_blah)",
            "(Something like " .. link("http://foo.com/blah_blah", ")") },
        { "http://foo.com/blah_blah_(wikipedia)", link "http://foo.com/blah_blah_(wikipedia)" },
        { "http://foo.com/blah_(blah)_(wikipedia)_blah",
            link "http://foo.com/blah_(blah)_(wikipedia)_blah" },
        { "(Something like http://foo.com/blah_blah_(wikipedia))",
            "(Something like " .. link("http://foo.com/blah_blah_(wikipedia)", ")") },
        { "http://foo.com/blah_blah.", link("http://foo.com/blah_blah", ".") },
        { "http://foo.com/blah_blah/.", link("http://foo.com/blah_blah/", ".") },
        { "<http://foo.com/blah_blah>", "&lt;" .. link("http://foo.com/blah_blah", "&gt;") },
        { "<http://foo.com/blah_blah/>", "&lt;" .. link("http://foo.com/blah_blah/", "&gt;") },
        { "http://foo.com/blah_blah,", link("http://foo.com/blah_blah", ",") },
        { "http://www.example.com/wpstyle/?p=364.",
            link("http://www.example.com/wpstyle/?p=364", ".") },
        { "rdar://1234", link "rdar://1234", { permitted_protocols = { "http", "rdar" } } },
        { "rdar:/1234", link "rdar:/1234", { permitted_protocols = { "rdar" } } },
        { "http://userid:password@example.com:8080",
            link "http://userid:password@example.com:8080" },
        { "http://userid@example.com", link "http://userid@example.com" },
        { "http://userid@example.com:8080", link "http://userid@example.com:8080" },
        { "http://userid:password@example.com", link "http://userid:password@example.com" },
        { "message://%3c330e7f840@mail.gmail.com%3e",
            link "message://%3c330e7f840@mail.gmail.com%3e",
            { permitted_protocols = { "http", "message" } } },
        { "http://➡.ws/䨹", link "http://➡.ws/䨹" },
        { "<tag>http://example.com</tag>",
            "&lt;tag&gt;" .. link("http://example.com", "&lt;/tag&gt;") },
        { "Just a www.example.com link.",
            'Just a <a href="http://www.example.com">www.example.com</a> link.' },
        { "Just a www.example.com link.", "Just a www.example.com link.",
            { require_protocol = true } },
        { "A " .. LONG, 'A <a href="' .. LONG .. '" title="' .. LONG
            .. '">http://reallylong.com/link...</a>', { require_protocol = true, shorten = true } },
        { "A " .. DOMAIN .. "!", 'A <a href="' .. DOMAIN .. '" title="' .. DOMAIN
            .. '">http://reallylongdomainnametha...</a>!', { shorten = true } },
        { "A file:///passwords.txt and http://web.com link",
            "A file:///passwords.txt and " .. link("http://web.com", " link") },
        { "A file:///passwords.txt and http://web.com link",
            "A " .. link("file:///passwords.txt", " and http://web.com link"),
            { permitted_protocols = { "file" } } },
        { "www.external-link.com", '<a href="http://www.external-link.com" rel="nofollow" '
            .. 'class="external">www.external-link.com</a>',
            { extra_params = 'rel="nofollow" class="external"' } },
        { "www.external-link.com", '<a href="http://www.external-link.com" rel="nofollow">'
            .. "www.external-link.com</a>",
            { extra_params = function() return '   rel="nofollow"  ' end } },
        { "é➡http://a.b　www.c.d", "é➡" .. link("http://a.b", "　")
            .. '<a href="http://www.c.d">www.c.d</a>' },
        { "javascript://x xhttp://", "javascript://x xhttp://" },
    }

    it("finds what Tornado finds", function()
        for _, case in ipairs(cases) do
            assert.equal(case[2], escape.linkify(case[1], case[3]))
        end
    end)

    it("gives the function the href of each link", function()
        local seen = {}
        escape.linkify("www.a.com and http://b.com", { extra_params = function(href)
            seen[#seen + 1] = href
            return ""
        end })
        assert.same({ "http://www.a.com", "http://b.com" }, seen)
    end)

    it("refuses unknown options and other types", function()
        assert.matches('did you mean "shorten"', message_of(escape.linkify, "x", { shorter = 1 }))
        assert.matches("bad text", message_of(escape.linkify, nil))
    end)

    it("takes time linear in the text", function()
        local function steps(text)
            local count = 0
            jit.off()
            jit.flush() -- a compiled trace counts no instructions
            debug.sethook(function() count = count + 1 end, "", 1000)
            escape.linkify(text)
            debug.sethook()
            jit.on()
            return count
        end
        local pieces = {
            "www.", "x://", "(", ":/(", "www.(", "a-", "&", "http://(a", "www..", "://x www.a ",
        }
        for _, piece in ipairs(pieces) do
            local small, large = steps(piece:rep(2000)), steps(piece:rep(8000))
            assert(large <= small * 6 + 20, piece .. ": " .. small .. " then " .. large)
        end
    end)
end)
