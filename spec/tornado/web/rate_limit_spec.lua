-- rate_limit: per class, per group, per key; and what a client is told.
local testing = require "tornado.testing"
local web = require "tornado.web"

local count = 0

-- Buckets outlive a case: each has a name of its own.
local function name()
    count = count + 1
    return "rate_limit_spec " .. count
end

local function limited(options)
    local Main = web.RequestHandler:extend(name())
    Main.rate_limit = options
    function Main:get() self:write "done" end
    Main.post = Main.get
    return Main
end

local function fetch(app, path, options)
    return testing.request(app, path or "/", options)
end

describe("rate_limit", function()
    it("answers 429 when the bucket is empty, and says how long", function()
        local app = web.Application { { "/", limited { requests = 2, per = 60 } } }
        local first, second, third = fetch(app), fetch(app), fetch(app)
        assert.same({ 200, 200, 429 }, { first.code, second.code, third.code })
        assert.equal('"default";q=2;w=60', first.headers:get "RateLimit-Policy")
        assert.equal('"default";r=1;t=30', first.headers:get "RateLimit")
        assert.equal('"default";r=0;t=60', second.headers:get "RateLimit")
        assert.matches('^"default";r=0;t=%d+$', third.headers:get "RateLimit")
        assert.matches("^[23]%d$", third.headers:get "Retry-After")
        assert.is_nil(first.headers:get "Retry-After")
    end)

    it("fills again", function()
        local app = web.Application { { "/", limited { requests = 50 , per = 1, burst = 1 } } }
        assert.equal(200, fetch(app).code)
        assert.equal(429, fetch(app).code)
        testing.wait_until(function() return fetch(app).code == 200 end)
    end)

    it("counts by address, or by what key() returns", function()
        local app = web.Application {
            { "/ip", limited { requests = 1, per = 60 } },
            { "/key", limited { requests = 1, per = 60,
                key = function(handler) return handler:get_argument("user", nil) end } },
        }
        assert.equal(200, fetch(app, "/ip", { remote_ip = "1.1.1.1" }).code)
        assert.equal(429, fetch(app, "/ip", { remote_ip = "1.1.1.1" }).code)
        assert.equal(200, fetch(app, "/ip", { remote_ip = "1.1.1.2" }).code)
        assert.equal(200, fetch(app, "/key?user=a").code)
        assert.equal(429, fetch(app, "/key?user=a").code)
        assert.equal(200, fetch(app, "/key?user=b").code)
        for _ = 1, 3 do
            local response = fetch(app, "/key")
            assert.equal(200, response.code)
            assert.is_nil(response.headers:get "RateLimit")
        end
    end)

    it("allows bursts", function()
        local app = web.Application { { "/", limited { requests = 1, per = 60, burst = 3 } } }
        local codes = {}
        for i = 1, 4 do codes[i] = fetch(app).code end
        assert.same({ 200, 200, 200, 429 }, codes)
    end)

    it("comes before the body is read", function()
        local app = web.Application { { "/", limited { requests = 1, per = 60 } } }
        assert.equal(200, fetch(app, "/", { body = "x" }).code)
        local connection = testing.serve(app):connect()
        connection:send "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        assert.equal(429, connection:read_response().code)
    end)

    it("is a filter of groups, shared by their handlers", function()
        local Main = web.RequestHandler:extend "Main"
        function Main:get() self:write "done" end
        local app = web.Application {
            web.group("/api", { before = web.rate_limit { requests = 2, per = 60, name = name() } },
                { { "/a", Main }, { "/b", Main } }),
            { "/free", Main },
        }
        assert.equal(200, fetch(app, "/api/a").code)
        assert.equal(200, fetch(app, "/api/b").code)
        assert.equal(429, fetch(app, "/api/a").code)
        assert.equal(200, fetch(app, "/free").code)
        assert.is_nil(fetch(app, "/free").headers:get "RateLimit")
    end)

    it("is each class's own, for subclasses as well", function()
        local Base = limited { requests = 1, per = 60 }
        local app = web.Application { { "/a", Base }, { "/b", Base:extend(name()) } }
        assert.equal(200, fetch(app, "/a").code)
        assert.equal(200, fetch(app, "/b").code)
        assert.equal(429, fetch(app, "/a").code)
        assert.equal(429, fetch(app, "/b").code)
    end)

    it("refuses bad options where the filter is made", function()
        for _, options in ipairs {
            {}, { requests = 0 }, { requests = "x" }, { requests = 1, per = 0 },
            { requests = 1, burst = 0.5 }, { requests = 1, key = 5 }, { requests = 1, pre = 1 },
            { requests = 1000000, per = 0.1 }, { requests = 0 / 0 },
        } do
            local ok, err = pcall(function() web.rate_limit(options) end)
            assert.is_false(ok)
            assert.matches("rate_limit_spec.lua:%d+: .*rate_limit", err)
        end
    end)

    it("refuses those of a class where its rule is", function()
        for _, options in ipairs { {}, { requests = "x" }, { request = 1 }, "10/s" } do
            local class = limited(options)
            local ok, err = pcall(function() web.Application { { "/", class } } end)
            assert.is_false(ok)
            assert.matches("^spec/tornado/web/rate_limit_spec.lua:%d+: rate_limit_spec %d+: .*" ..
                "rate_limit", err)
        end
    end)

    it("answers 500 when key() returns no string", function()
        testing.expect_log("error", "rate_limit.key returned number; expected a string")
        local app = web.Application {
            { "/", limited { requests = 1, key = function() return 5 end } },
        }
        assert.equal(500, fetch(app).code)
    end)
end)

describe("HTTPError.headers", function()
    it("are those of its reply", function()
        local Main = web.RequestHandler:extend "Main"
        function Main:get() -- luacheck: ignore 212
            local err = web.HTTPError(503)
            err.headers = { ["Retry-After"] = "7" }
            error(err, 0)
        end
        local response = fetch(web.Application { { "/", Main } })
        assert.equal(503, response.code)
        assert.equal("7", response.headers:get "Retry-After")
    end)
end)
