-- tornado.core.bytes: digests and encodings, as Lua sees them. The vectors of the RFCs are in
-- spec/core/test_digest.c.
local core = require "tornado.core"

describe("tornado.core.bytes", function()
    it("has digests and HMACs of three hashes", function()
        assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d",
            core.hex(core.digest("sha1", "abc")))
        assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            core.hex(core.digest("sha256", "abc")))
        assert.equal(64, #core.digest("sha512", ""))
        assert.equal("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            core.hex(core.hmac("sha1", "Jefe", "what do ya want for nothing?")))
        assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            core.hex(core.hmac("sha256", "Jefe", "what do ya want for nothing?")))
        assert.equal(64, #core.hmac("sha512", "", ""))
        -- An empty key is no leftover of the one before.
        assert.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
            core.hex(core.hmac("sha256", "", "")))
    end)

    it("has digests of what comes in pieces", function()
        local one, two = core.new_digest("sha256"), core.new_digest("sha1")
        for char in ("abc"):gmatch(".") do
            one:update(char)
            two:update(char)
            two:update("")
        end
        assert.equal(2, core.counts().digests)
        assert.equal(core.digest("sha1", "abc"), two:digest())
        assert.equal(core.hex(core.digest("sha256", "abc")), one:hexdigest())
        assert.equal(0, core.counts().digests)
        assert.equal(core.digest("sha512", ""), core.new_digest("sha512"):digest())
    end)

    it("knows when a digest has ended", function()
        local digest = core.new_digest("sha256")
        digest:close()
        digest:close()
        for _, call in ipairs { "update", "digest", "hexdigest" } do
            local ok, err = pcall(digest[call], digest, "x")
            assert.is_false(ok)
            assert.matches("the digest has ended", err)
        end
        assert.is_false((pcall(core.new_digest, "md5")))
    end)

    it("has at most 4096 digests at a time", function()
        local digests = {}
        for i = 1, 4096 do digests[i] = core.new_digest("sha1") end
        assert.is_false((pcall(core.new_digest, "sha1")))
        for _, digest in ipairs(digests) do digest:close() end
        assert.equal(0, core.counts().digests)
    end)

    it("names the hashes that there are", function()
        local ok, err = pcall(core.digest, "md5", "")
        assert.is_false(ok)
        assert.matches("expected sha1, sha256 or sha512, got md5", err)
        assert.is_false((pcall(core.hmac, nil, "", "")))
    end)

    it("compares", function()
        assert.is_true(core.same("", ""))
        assert.is_true(core.same("a\0b", "a\0b"))
        assert.is_false(core.same("a\0b", "a\0c"))
        assert.is_false(core.same("a", "ab"))
        assert.is_false(core.same("", "a"))
    end)

    it("encodes any bytes and gets them back", function()
        for n = 0, 70 do
            local text = core.random(n)
            assert.equal(text, core.base64_decode(core.base64_encode(text)))
            assert.equal(text, core.unhex(core.hex(text)))
            assert.equal(text, core.unhex(core.hex(text):upper()))
        end
        assert.equal("6Q==", core.base64_encode("\233"))
        assert.equal("00ff", core.hex("\0\255"))
    end)

    it("decodes nothing that is malformed", function()
        for _, text in ipairs { "Z", "Zg", "Zg=", " Zg==", "Zg==\n", "=g==", "Z===", "Zm9-" } do
            assert.is_nil(core.base64_decode(text))
        end
        for _, text in ipairs { "0", "0g", "0x", " 0", "+1" } do
            assert.is_nil(core.unhex(text))
        end
    end)
end)
