-- Requests that are made to cost much: each is answered (with a 4xx where it is over a limit), in
-- a number of Lua's instructions that grows with its size alone. What C takes apart is bounded in
-- spec/core and spec/tornado/httputil.
local testing = require "tornado.testing"
local web = require "tornado.web"

local All = web.RequestHandler:extend "All"
function All:post()
    local values = self:get_arguments "a"
    self:write(tostring(#values))
end
function All:get()
    local n = 0
    for _ in pairs(self.request.cookies) do n = n + 1 end
    self:write(tostring(n))
end
local Json = web.RequestHandler:extend "Json"
function Json:post() self:write(type(self:json())) end

local WIDE = { max_header_size = 1048576, max_line_size = 65536 }
local FORM = "application/x-www-form-urlencoded"

local function serve(options)
    return testing.serve(web.Application { { "/", All }, { "/json", Json } }, { server = options })
end

-- Returns the reply, and how many hundred instructions it took.
local function counted(server, path, options)
    local count = 0
    jit.off()
    jit.flush() -- a compiled trace counts no instructions
    debug.sethook(function() count = count + 1 end, "", 100)
    local ok, response = pcall(server.fetch, server, path, options)
    debug.sethook()
    jit.on()
    assert(ok, response)
    return response, count
end

-- make(n) returns what fetch() takes; the replies have this status, and the larger this body.
local function check(n, status, body, make, options)
    testing.set_timeout(300)
    testing.ExpectLog("general", ".*", { required = false })
    local server = serve(options)
    counted(server, make(10))
    local first, small = counted(server, make(n / 4))
    local second, large = counted(server, make(n))
    assert.same({ status, status }, { first.code, second.code })
    if body then assert.equal(body, second.body) end
    assert(large <= small * 6 + 50, small .. " hundred instructions, then " .. large)
end

describe("a request with", function()
    local function form(make)
        return function(n)
            return "/", { body = make(n), headers = { ["Content-Type"] = FORM } }
        end
    end

    it("10,000 parts is refused", function()
        check(10000, 400, nil, function(n)
            local part = '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
            return "/", { body = part:rep(n) .. "--B--\r\n",
                headers = { ["Content-Type"] = "multipart/form-data; boundary=B" } }
        end)
    end)

    it("a million & has no arguments", function()
        check(1000000, 200, "0", form(function(n) return ("&"):rep(n) end))
    end)

    it("a quarter of a million arguments is refused", function()
        check(250000, 400, nil, form(function(n) return ("a=1&"):rep(n) end))
    end)

    it("half a million % is decoded once", function()
        check(500000, 200, "1", form(function(n) return "a=" .. ("%"):rep(n) end))
        check(100000, 200, "1", form(function(n) return "a=" .. ("%zz+"):rep(n) end))
    end)

    local function cookie(make)
        return function(n) return "/", { headers = { Cookie = make(n) } } end
    end

    it("64 KiB of cookies is refused, or taken apart where the limit allows it", function()
        assert.equal(431, serve():fetch(cookie(function()
            return ("a=b; "):rep(13107)
        end)(0)).code)
        check(13107, 200, "1", cookie(function(n) return ("a=b; "):rep(n) end), WIDE)
        check(6000, 200, "6000", cookie(function(n)
            local list = {}
            for i = 1, n do list[i] = "c" .. i .. "=1" end
            return table.concat(list, "; ")
        end), WIDE)
    end)

    it("100,000 quotes in a cookie is refused, or unquoted once", function()
        for _, piece in ipairs { '"', '\\"', "\\073", "\\" } do
            local make = cookie(function(n) return 'a="' .. piece:rep(n) .. '"' end)
            assert.equal(431, serve():fetch(make(100000)).code)
            check(100000, 200, "1", make, WIDE)
        end
    end)

    it("deep JSON is refused", function()
        local function json(make)
            return function(n) return "/json", { body = make(n), headers = {
                ["Content-Type"] = "application/json" } } end
        end
        check(400000, 400, nil, json(function(n) return ("["):rep(n + 200) end))
        check(100000, 400, nil, json(function(n) return ('{"a":'):rep(n + 200) end))
        check(400000, 200, "table", json(function(n)
            return "[" .. ("1,"):rep(n) .. "1]"
        end))
    end)
end)
