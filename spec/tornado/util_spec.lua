-- tornado.util: classes, errors, option tables, import by name.
local core = require "tornado.core"
local util = require "tornado.util"

local function message_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return tostring(err)
end

describe("util.Object", function()
    it("constructs by calling the class, which calls init", function()
        local Point = util.Object:extend "Point"
        function Point:init(x, y) self.x, self.y = x, y end
        local p = Point(1, nil)
        assert.equal(1, p.x)
        assert.is_nil(p.y)
        assert.equal(Point, p.class)
    end)

    it("sees methods that are added to a parent later", function()
        local A = util.Object:extend "A"
        local B = A:extend("B"):extend("C")
        local b = B()
        function A.late() return "late" end
        assert.equal("late", b.late())
        assert.equal(A, B.super.super)
    end)

    it("knows its ancestors", function()
        local A, X = util.Object:extend "A", util.Object:extend "X"
        local B = A:extend "B"
        assert.is_true(B():is(A))
        assert.is_true(B():is(util.Object))
        assert.is_false(B():is(X))
        assert.is_false(A():is(B))
        assert.is_true(B:is_subclass(A))
        assert.is_true(A:is_subclass(A))
        assert.is_false(A:is_subclass(B))
        assert.is_true(util.isinstance(B(), A))
        for _, other in ipairs { 1, "s", {}, print } do
            assert.is_false(util.isinstance(other, A))
        end
    end)

    it("has a name, by default where it was made", function()
        assert.equal("Main", tostring(util.Object:extend "Main"))
        assert.equal("Main", tostring(util.Object:extend("Main")()))
        local Anonymous = util.Object:extend()
        assert.matches("util_spec%.lua:%d+$", tostring(Anonymous))
        assert.matches("expected string or nil", message_of(util.Object.extend, util.Object, 1))
    end)

    it("leaves fields of objects that are called name alone", function()
        assert.is_nil(util.Object:extend("Main")().name)
    end)

    it("inherits metamethods", function()
        local A = util.Object:extend "A"
        A.__eq = function() return true end
        A.__lt = function() return true end
        A.__le = function() return true end
        A.__call = function(_, x) return x end
        A.__concat = function() return "joined" end
        A.__tostring = function() return "an A" end
        local B = A:extend "B"
        assert.is_true(B() == B())
        assert.is_true(B() < B() and B() <= B())
        assert.equal(7, B()(7))
        assert.equal("joined", B() .. "x")
        assert.equal("an A", tostring(B()))
    end)
end)

describe("util.Error", function()
    it("is a class of objects with a message", function()
        local ok, err = pcall(error, util.TimeoutError("after %d s", 3))
        assert.is_false(ok)
        assert.is_true(util.isinstance(err, util.TimeoutError))
        assert.equal("after 3 s", err.message)
        assert.equal("TimeoutError: after 3 s", tostring(err))
        assert.equal("TimeoutError", tostring(util.TimeoutError()))
    end)

    it("formats only when there are arguments", function()
        assert.equal("100%", util.Error("100%").message)
    end)
end)

describe("util.options", function()
    local known = { path = "/", secure = false, domain = util.NONE }
    local function set_cookie(options)
        options = util.options(options, known, "set_cookie")
        return options
    end

    it("puts given values over the defaults", function()
        assert.same({ path = "/", secure = false }, set_cookie())
        assert.same({ path = "/", secure = true, domain = "d" },
            set_cookie { secure = true, domain = "d" })
        assert.is_false(set_cookie({ path = false }).path)
    end)

    it("refuses unknown keys at the caller's line, with the nearest name", function()
        local line = debug.getinfo(1, "l").currentline + 1
        local text = message_of(function() set_cookie { secur = true } end)
        assert.matches("util_spec.lua:" .. line .. ": ", text, 1, true)
        assert.matches('set_cookie: unknown option "secur" (did you mean "secure"?)', text, 1, true)
        text = message_of(function() set_cookie { zzz = true } end)
        assert.matches("(known: domain, path, secure)", text, 1, true)
        text = message_of(function() set_cookie "x" end)
        assert.matches("expected table, got string", text, 1, true)
    end)
end)

describe("util", function()
    it("finds the nearest name", function()
        local names = { "httponly", "secure", "max_age" }
        assert.equal("httponly", util.nearest("htponly", names))
        assert.equal("httponly", util.nearest("HttpOnly", names))
        assert.equal("secure", util.nearest("sceure", names))
        assert.equal("max_age", util.nearest("max-age", names))
        assert.is_nil(util.nearest("colour", names))
        assert.is_nil(util.nearest("x", {}))
    end)

    it("imports by dotted name", function()
        assert.equal(util, util.import_object "tornado.util")
        assert.equal(util.TimeoutError, util.import_object "tornado.util.TimeoutError")
        assert.matches("No module named tornado.missing",
            message_of(util.import_object, "tornado.missing"), 1, true)
        assert.matches("No module named nothere",
            message_of(util.import_object, "nothere"), 1, true)
    end)

    it("passes on the error of a broken module", function()
        package.preload["spec_broken"] = function() error("is broken", 0) end
        assert.matches("is broken", message_of(util.import_object, "spec_broken.X"), 1, true)
        package.preload["spec_broken"] = nil
    end)

    it("unescapes regular expressions", function()
        assert.equal("/", util.re_unescape "/")
        assert.equal("a.b-c\\", util.re_unescape "a\\.b\\-c\\\\")
        assert.equal("\n", util.re_unescape "\\\n")
        for _, bad in ipairs { "\\d", "\\\\\\w", "a\\b" } do
            assert.matches("cannot unescape", message_of(util.re_unescape, bad), 1, true)
        end
        assert.equal("\\d", util.re_unescape "\\\\d")
    end)

    it("knows what can be called", function()
        assert.is_true(util.is_callable(print))
        assert.is_true(util.is_callable(util.Object))
        assert.is_true(util.is_callable(setmetatable({}, { __call = print })))
        assert.is_false(util.is_callable {})
        assert.is_false(util.is_callable "x")
    end)

    it("copies into an ObjectDict", function()
        local source = { a = 1 }
        local dict = util.ObjectDict(source)
        dict.a = 2
        assert.equal(1, source.a)
        assert.is_nil(dict.b)
    end)

    it("has a version", function()
        assert.equal(util.version, table.concat(util.version_info, ".", 1, 3))
        assert.equal(4, #util.version_info)
    end)

    it("runs text with globals of its own", function()
        local globals = { y = 2 }
        assert.equal(3, util.exec_in("x = y + 1; return x", globals))
        assert.equal(3, globals.x)
        util.exec_in(function() z = 1 end, globals) -- luacheck: ignore 111/z
        assert.equal(1, globals.z)
        assert.matches("<string>:1:", message_of(util.exec_in, "x = = 1", {}), 1, true)
        assert.matches("bad globals", message_of(util.exec_in, "x = 1"), 1, true)
        assert.matches("bad code", message_of(util.exec_in, 5, {}), 1, true)
    end)

    it("finds the number of a system's error", function()
        assert.equal(2, util.errno_from_exception { errno = 2 })
        assert.equal(9, util.errno_from_exception { args = { 9 } })
        assert.is_nil(util.errno_from_exception(util.Error "x"))
        assert.is_nil(util.errno_from_exception "x")
    end)

    it("counts the seconds of a timedelta", function()
        local timedelta = require("tornado.ioloop").timedelta
        assert.equal(61.5, util.timedelta_to_seconds(timedelta { minutes = 1, seconds = 1.5 }))
        assert.matches("expected timedelta, got 5", message_of(util.timedelta_to_seconds, 5), 1,
            true)
    end)

    it("shows values in messages without controls", function()
        assert.equal('"a\\r\\n\\x00\\"\\\\"', util.shown("a\r\n\0\"\\"))
        assert.equal('"' .. ("x"):rep(60) .. '..."', util.shown(("x"):rep(61)))
        assert.equal("1", util.shown(1))
        assert.equal("table", util.shown {})
    end)
end)

describe("util.Configurable", function()
    local Base = util.Configurable:extend "Base"
    function Base:configurable_base() return Base end
    local One, Two = Base:extend "One", Base:extend "Two"
    function Base:configurable_default() return One end
    function One:initialize(options) self.a = options and options.a end
    function Two:initialize(position, options)
        self.position, self.a = position, options and options.a
    end
    local saved = Base:_save_configuration()

    after_each(function() Base:_restore_configuration(saved) end)

    it("makes objects of its default", function()
        assert.equal(One, Base().class)
        assert.equal(3, Base({ a = 3 }).a)
    end)

    it("makes objects of the class that was chosen, with its options", function()
        Base:configure(Two, { a = 1 })
        local object = Base("here")
        assert.same({ Two, "here", 1 }, { object.class, object.position, object.a })
        assert.equal(2, Base("here", { a = 2 }).a)
        assert.equal(Two, Base:configured_class())
        assert.is_nil(Two("there").a) -- options are of the interface
        assert.equal(One, One().class)
        Base:configure(nil)
        assert.equal(One, Base().class)
    end)

    it("refuses classes of other interfaces", function()
        local Other = util.Object:extend "Other"
        assert.has_error(function() Base:configure(Other) end, "Invalid subclass of Base")
        assert.has_error(function() Base:configure("string.rep") end, "Invalid subclass of Base")
    end)

    it("may have an interface as its implementation", function()
        local Inner = Base:extend "Inner"
        function Inner:configurable_base() return Inner end
        local Innermost = Inner:extend "Innermost"
        function Inner:configurable_default() return Innermost end
        Base:configure(Inner)
        assert.equal(Innermost, Base().class)
    end)
end)

describe("util.ArgReplacer", function()
    local function fn(x, y, callback) return x, y, callback end -- luacheck: ignore 211
    local replacer = util.ArgReplacer(fn, "callback")

    it("replaces what is at its place", function()
        local arguments = { 1, 2, "old" }
        local old, new = replacer:replace("new", arguments, {})
        assert.same({ "old", { 1, 2, "new" }, { 1, 2, "old" } }, { old, new, arguments })
        assert.equal("old", replacer:get_old_value(arguments, {}))
    end)

    it("replaces what is given by name, or not at all", function()
        local old, arguments, options = replacer:replace("new", { 1 }, { callback = "old", y = 2 })
        assert.same({ "old", { 1 }, { callback = "new", y = 2 } }, { old, arguments, options })
        old, arguments, options = replacer:replace("new", { 1, 2 }, {})
        assert.same({ { 1, 2 }, { callback = "new" } }, { arguments, options })
        assert.is_nil(old)
        assert.equal(5, replacer:get_old_value({}, {}, 5))
    end)
end)

describe("util._websocket_mask", function()
    it("masks as RFC 6455 says", function()
        assert.equal("\3", util._websocket_mask("abcd", "b"))
        assert.equal("TVPVP", util._websocket_mask("abcd", "54321"))
        assert.equal("c`t`olpd", util._websocket_mask("ZXCV", "98765432"))
        assert.equal("", util._websocket_mask("abcd", ""))
        for _, mask in ipairs { "", "abc", "abcde" } do
            assert.has_error(function() util._websocket_mask(mask, "b") end)
        end
    end)
end)

describe("util.GzipDecompressor", function()
    local HELLO = core.base64_decode("H4sIAAAAAAACA8tIzcnJ11Eozy/KSQEAOnKr/wwAAAA=")
    local BIG = core.base64_decode( -- 100,000 times "x"
        "H4sIAAAAAAACA+3BMQEAAADCoNqLbw0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" ..
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" ..
        "AAAAAAAAAIBXA3ERB/6ghgEA")

    it("decodes what comes in pieces", function()
        local gzip, out = util.GzipDecompressor(), {}
        for i = 1, #HELLO do out[i] = gzip:decompress(HELLO:sub(i, i)) end
        assert.equal("hello, world", table.concat(out))
        assert.equal("", gzip.unconsumed_tail)
        assert.equal("", gzip:flush())
    end)

    it("gives no more than it may, and keeps the rest of its input", function()
        local gzip, sizes = util.GzipDecompressor(), 0
        local rest = BIG
        while rest ~= "" do
            local piece = gzip:decompress(rest, 7000)
            assert.truthy(#piece <= 7000)
            sizes, rest = sizes + #piece, gzip.unconsumed_tail
        end
        assert.equal(100000, sizes + #gzip:flush())
        gzip = util.GzipDecompressor()
        assert.equal("hello", gzip:decompress(HELLO .. BIG, 5))
        assert.equal(", world" .. ("x"):rep(100000), gzip:flush())
        assert.equal(100000, #util.GzipDecompressor():decompress(BIG))
    end)

    it("refuses what is corrupt or cut off", function()
        local Error = util.GzipDecompressor.Error
        local ok, err = pcall(util.GzipDecompressor.decompress, util.GzipDecompressor(), "nonsense")
        assert.is_false(ok)
        assert.is_true(util.isinstance(err, Error))
        for n = 0, #HELLO - 1 do
            local gzip = util.GzipDecompressor()
            gzip:decompress(HELLO:sub(1, n))
            assert.matches("GzipError: the gzip data is cut off",
                message_of(gzip.flush, gzip), 1, true)
        end
        assert.matches("expected string, got nil",
            message_of(util.GzipDecompressor().decompress, util.GzipDecompressor()), 1, true)
    end)
end)

describe("the module tornado", function()
    it("has the version", function()
        local tornado = require "tornado"
        assert.matches("^%d+%.%d+%.%d+$", tornado.version)
        assert.equal(4, #tornado.version_info)
    end)
end)
