-- tornado.autoreload: what others call. What it does to a server is in
-- spec/integration/reload_saved.py and browser/autoreload.js. PARITY §18.
local autoreload = require "tornado.autoreload"
local files = require "tornado.autoreload.files"

local function raised(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

describe("tornado.autoreload", function()
    it("says what its functions take", function()
        assert.matches("bad path: expected string, got table", raised(autoreload.watch, {}))
        assert.matches("bad hook: expected function, got nil", raised(autoreload.add_reload_hook))
    end)

    it("has a watcher get what was read before it was there, and after", function()
        finally(function() files.watcher = nil end)
        files.watcher = nil
        autoreload.watch("hat")
        files.note_tree("folder", "static", "%.css$")
        local seen = {}
        local stub = {
            watch = function(_, path, kind) seen[#seen + 1] = path .. " " .. kind end,
            watch_tree = function(_, path, kind, pattern)
                seen[#seen + 1] = path .. " " .. kind .. " " .. tostring(pattern)
            end,
        }
        files.give_to(stub)
        files.note_chunk(loadstring("", "@some/module.lua"))
        files.note_chunk(loadstring("", "@tornado/web.lua"))
        files.note_chunk(loadstring("", "=text"))
        local list = table.concat(seen, "\n")
        assert.matches("hat code\n", list)
        assert.matches("folder static %%.css%$", list)
        assert.matches("\nsome/module.lua code$", list)
        files.give_to(false)
        autoreload.watch("late")
        assert.equal(list, table.concat(seen, "\n"))
    end)
end)
