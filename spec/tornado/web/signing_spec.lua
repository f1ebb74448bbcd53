-- tornado.web.signing: Tornado's own golden values, and everything that can be wrong with a
-- signed one. PARITY §1.5, check 50 of §29, and 11 of §32.
local core = require "tornado.core"
local testing = require "tornado.testing"
local web = require "tornado.web"

local SECRET = "It's a secret to everybody"
local NOW = 1300000000
local DAY = 86400

local function present() return NOW end

local function at(days)
    return function() return NOW + days * DAY end
end

local function create(options)
    options = options or {}
    options.clock = options.clock or present
    return web.create_signed_value(SECRET, "key", "value", options)
end

local function decode(value, options)
    options = options or {}
    options.clock = options.clock or present
    return web.decode_signed_value(options.secret or SECRET, options.name or "key", value,
        { clock = options.clock, max_age_days = options.max_age_days,
          min_version = options.min_version })
end

local V1 = "dmFsdWU=|1300000000|31c934969f53e48164c50768b40cbd7e2daaaa4f"
local V2 = "2|1:0|10:1300000000|3:key|8:dmFsdWU=|" ..
    "3d4e60b996ff9c5d5788e333a0cba6f238a22c6c0f94788870e1a9ecd482e152"

local function message_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return tostring(err)
end

describe("signed values", function()
    it("have Tornado's form", function()
        assert.equal(V1, create { version = 1 })
        assert.equal(V2, create { version = 2 })
        assert.equal(V2, create())
        assert.equal("2|1:1|10:1300000000|1:n|4:6Q==|" ..
            "34f1abab6a1a9a3b9ff13eca158d074567f5da9432b928fc5cb90c2865bfdfbc",
            web.create_signed_value({ [0] = "a", "b" }, "n", "\233",
                { clock = present, key_version = 1 }))
    end)

    it("are read again", function()
        assert.equal("value", decode(V1))
        assert.equal("value", decode(V2))
        for _, value in ipairs { "", "\233", "a|b\0\n", ("x"):rep(5000) } do
            for version = 1, 2 do
                local signed = web.create_signed_value(SECRET, "key", value,
                    { version = version, clock = present })
                assert.equal(value, decode(signed))
            end
        end
    end)

    it("have Tornado's limits as constants", function()
        assert.equal(1, web.MIN_SUPPORTED_SIGNED_VALUE_VERSION)
        assert.equal(2, web.MAX_SUPPORTED_SIGNED_VALUE_VERSION)
        assert.equal(2, web.DEFAULT_SIGNED_VALUE_VERSION)
        assert.equal(1, web.DEFAULT_SIGNED_VALUE_MIN_VERSION)
    end)

    it("may be asked to be of version 2", function()
        assert.is_nil(decode(V1, { min_version = 2 }))
        assert.equal("value", decode(V2, { min_version = 2 }))
        assert.matches("bad min_version", message_of(decode, V2, { min_version = 3 }))
    end)

    it("are nothing when they are absent or of an unknown version", function()
        assert.is_nil(decode(nil))
        for _, value in ipairs { "", "3|x", "999|x", "1|x", "0|x", "2", "2|", "x", "|", "||" } do
            if value == "||" then testing.expect_log("Invalid cookie signature") end
            assert.is_nil(decode(value))
        end
    end)

    it("are valid for their days", function()
        assert.equal("value", decode(V2, { clock = at(30.9) }))
        assert.is_nil(decode(V2, { clock = at(31.1) }))
        assert.equal("value", decode(V2, { clock = at(31.1), max_age_days = 32 }))
        assert.is_nil(decode(V2, { clock = at(0.1), max_age_days = 0 }))
        assert.equal("value", decode(V1, { clock = at(30.9) }))
        testing.expect_log("Expired cookie")
        assert.is_nil(decode(V1, { clock = at(31.1) }))
    end)

    it("of version 1 are not from the future, those of version 2 may be", function()
        assert.equal("value", decode(V1, { clock = at(-30) }))
        assert.equal("value", decode(V2, { clock = at(-1000) }))
        local logged = testing.expect_log("Cookie timestamp in future; possible tampering")
        assert.is_nil(decode(V1, { clock = at(-32) }))
        assert.is_nil(logged.text:find(V1, 1, true))
    end)
end)

describe("a signed value that was tampered with", function()
    it("is nothing, whatever byte was changed", function()
        for i = 1, #V2 do
            local other = V2:byte(i) == 88 and "Y" or "X"
            local value = V2:sub(1, i - 1) .. other .. V2:sub(i + 1)
            -- What does not begin with a version is read as version 1.
            assert.is_nil(decode(value))
            assert.is_nil(decode(V2:sub(1, i - 1) .. V2:sub(i + 1)))
        end
        testing.expect_log("Invalid cookie signature")
        for i = 1, #V1 do
            assert.is_nil(decode(V1:sub(1, i - 1) .. "!" .. V1:sub(i + 1)))
        end
    end)

    it("is nothing when it is shorter or longer", function()
        assert.is_nil(decode(V2:sub(1, -2)))
        assert.is_nil(decode(V2 .. "0"))
        assert.is_nil(decode(V2:sub(1, -65)))
        assert.is_nil(decode(V2:upper()))
        testing.expect_log("Invalid cookie signature")
        assert.is_nil(decode(V1:sub(1, -2)))
        assert.is_nil(decode(V1 .. "0"))
        assert.equal(1, select("#", decode(V1 .. "0"))) -- a nil, for tostring(decode(...))
        assert.is_nil(decode(V1 .. "|x"))
    end)

    it("is nothing under another name or secret", function()
        assert.is_nil(decode(V2, { name = "key2" }))
        assert.is_nil(decode(V2, { name = "ke" }))
        assert.is_nil(decode(V2, { secret = "another" }))
        testing.expect_log("Invalid cookie signature")
        assert.is_nil(decode(V1, { name = "key2" }))
        assert.is_nil(decode(V1, { secret = "another" }))
    end)

    it("is nothing with other lengths of its fields", function()
        for _, value in ipairs {
            "2|1:0|10:1300000000|3:key|7:dmFsdWU=|x", "2|1:0|10:1300000000|3:key|9:dmFsdWU=|x",
            "2|1:0|10:1300000000|4:key|8:dmFsdWU=|x", "2|1:0|+10:1300000000|3:key|8:dmFsdWU=|x",
            "2|1:0|:1300000000|3:key|8:dmFsdWU=|x", "2|1:0|10:1300000000|3:key",
            "2|1:0|10:1300000000", "2|1:0|99999999999999999999:x|",
            "2|1:x|10:1300000000|3:key|0:||",
            "2|1:0|-1:|", "2|1:0",
        } do
            assert.is_nil(decode(value))
        end
    end)

    -- tornado's test_payload_tampering and test_timestamp_tampering, and the same for names.
    it("of version 1 cannot have its fields shifted", function()
        testing.expect_log("Tampered cookie")
        local sig = core.hex(core.hmac("sha1", SECRET, "key" .. "dmFsdWU=" .. "01300000000"))
        assert.is_nil(decode("dmFsdWU=|01300000000|" .. sig))
        sig = core.hex(core.hmac("sha1", SECRET, "keyYWJj" .. "ZGVm1300000000"))
        assert.is_nil(decode("YWJj|ZGVm1300000000|" .. sig))
        local value = web.create_signed_value(SECRET, "key", "abcdef12",
            { version = 1, clock = present })
        local coded, time, signature = value:match("^(.-)|(.-)|(.-)$")
        testing.expect_log("Tampered cookie")
        assert.is_nil(decode(coded:sub(1, 4) .. "|" .. coded:sub(5) .. time .. "|" .. signature))
    end)

    it("is nothing when what was signed is no base64", function()
        local body = "2|1:0|10:1300000000|3:key|3:dmF|"
        assert.is_nil(decode(body .. core.hex(core.hmac("sha256", SECRET, body))))
        local sig = core.hex(core.hmac("sha1", SECRET, "keydmF1300000000"))
        assert.is_nil(decode("dmF|1300000000|" .. sig))
        body = "2|1:0|3:now|3:key|8:dmFsdWU=|"
        assert.is_nil(decode(body .. core.hex(core.hmac("sha256", SECRET, body))))
    end)

    it("is read as version 1 when it begins with a large number", function()
        local coded = core.base64_encode(core.base64_decode("1234"))
        assert.equal("1234", coded)
        local value = web.create_signed_value(SECRET, "key", core.base64_decode("1234"),
            { version = 1, clock = present })
        assert.equal(core.base64_decode("1234"), decode(value))
    end)
end)

describe("several secrets", function()
    local SECRETS = { [0] = "ajklasdf0ojaisdf", [1] = "aslkjasaolwkjsdf" }

    local function sign(key_version)
        return web.create_signed_value(SECRETS, "key", "value",
            { clock = present, key_version = key_version })
    end

    it("are told apart by their versions", function()
        for version = 0, 1 do
            local value = sign(version)
            assert.equal(version, web.get_signature_key_version(value))
            assert.equal("value", decode(value, { secret = SECRETS }))
            assert.equal("value", decode(value, { secret = SECRETS[version] }))
            assert.is_nil(decode(value, { secret = SECRETS[1 - version] }))
            assert.is_nil(decode(value, { secret = { [1 - version] = SECRETS[1 - version] } }))
        end
    end)

    it("cannot be exchanged for one another", function()
        local value = sign(0):gsub("^2|1:0", "2|1:1")
        assert.is_nil(decode(value, { secret = SECRETS }))
        assert.is_nil(decode((value:gsub("^2|1:1", "2|1:7")), { secret = SECRETS }))
    end)

    it("need a key version and the new format to sign", function()
        assert.matches("bad key_version", message_of(sign, nil))
        assert.matches("no secret has version 5", message_of(sign, 5))
        assert.matches("expected a whole number", message_of(sign, "1"))
        assert.matches("several secrets need version 2", message_of(web.create_signed_value,
            SECRETS, "key", "value", { version = 1, key_version = 1 }))
    end)

    it("are nothing to version 1, and no error", function()
        assert.is_nil(decode(V1, { secret = SECRETS }))
    end)

    it("are named by a value before it is checked", function()
        assert.equal(0, web.get_signature_key_version(V2))
        assert.equal(7, web.get_signature_key_version("2|1:7|1:x|1:x|1:x|"))
        for _, value in ipairs { V1, "", "x", "2|", "2|1:x|1:x|1:x|1:x|", "2|1:7|1:x" } do
            assert.is_nil(web.get_signature_key_version(value))
        end
    end)
end)

describe("a caller's mistake", function()
    it("is named", function()
        assert.matches("bad secret: .*an empty string",
            message_of(web.create_signed_value, "", "n", "v"))
        assert.matches("bad secret: .*nil", message_of(web.decode_signed_value, nil, "n", "v"))
        assert.matches("bad name: expected string, got nil",
            message_of(web.create_signed_value, "s", nil, "v"))
        assert.matches("bad value: expected string, got number",
            message_of(web.create_signed_value, "s", "n", 1))
        assert.matches("bad version: expected 1 or 2, got 3", message_of(create, { version = 3 }))
        assert.matches('unknown option "max_age"',
            message_of(web.decode_signed_value, "s", "n", "v", { max_age = 1 }))
    end)
end)
