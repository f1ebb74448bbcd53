-- httputil.storage: a full disk is noticed by hot code, too.
local httputil = require "tornado.httputil"
local storage = require "tornado.httputil.storage"
local util = require "tornado.util"

local function try(path, size)
    local file = assert(io.open(path, "wb"))
    local ok, err = pcall(function()
        storage.write(file, ("x"):rep(size))
        storage.flush(file)
    end)
    file:close()
    return ok or err
end

describe("tornado.httputil.storage", function()
    it("raises for a full disk, after many calls that went well", function()
        for _ = 1, 300 do assert.is_true(try("/dev/null", 4)) end
        for i = 1, 100 do
            local err = try("/dev/full", i % 2 == 0 and 4 or 100000)
            assert.truthy(util.isinstance(err, httputil.StorageError))
            assert.matches("^cannot write an upload: No space left on device", err.message)
        end
    end)
end)
