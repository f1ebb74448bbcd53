-- tornado.repl.show: values as text.
local show = require "tornado.repl.show"
local util = require "tornado.util"

describe("tornado.repl.show", function()
    it("shows what Lua would read", function()
        assert.equal("nil", show(nil))
        assert.equal("1.5", show(1.5))
        assert.equal("true", show(true))
        assert.equal([["a\n\"é\\\001"]], show 'a\n"é\\\1')
        assert.equal("{}", show {})
        assert.equal('{ 1, "b", { 2 }, [10] = 3, ["a b"] = 4, c = {} }',
            show { 1, "b", { 2 }, [10] = 3, c = {}, ["a b"] = 4 })
        assert.equal("function: built in", show(print))
        assert.matches("^function: .*show_spec.lua:%d+$", show(function() end))
    end)

    it("breaks long tables into lines", function()
        local text = show { a = ("x"):rep(60), b = { ("y"):rep(60), 1 } }
        assert.equal('{\n    a = "' .. ("x"):rep(60) .. '",\n    b = { "' .. ("y"):rep(60) ..
            '", 1 }\n}', text)
    end)

    it("has an end", function()
        local loop = {}
        loop.me = loop
        assert.equal("{ me = { (shown above) } }", show(loop))
        assert.equal("{ { { { { ... } } } } }", show { { { { { 1 } } } } })
        local many = {}
        for i = 1, 1000 do many[i] = i end
        assert.matches("40,?%s+%.%.%. %(960 more%)%s+}$", show(many))
        assert.matches('^"x+"%.%.%. %(1000 bytes%)$', show(("x"):rep(1000)))
    end)

    it("names classes and objects, and lets errors speak", function()
        local Point = util.Object:extend "Point"
        function Point:init(x) self.x, self._hidden = x, 1 end
        assert.equal("Point { x = 3 }", show(Point(3)))
        assert.equal("class Point", show(Point))
        assert.equal("TimeoutError: late", show(util.TimeoutError("late")))
        local broken = setmetatable({}, { __tostring = function() error("no", 0) end })
        assert.equal("(table that cannot be shown: no)", show(broken))
    end)
end)
