//! The table of the gear hash, which is part of the format.

/// `GEAR[b]` is the first eight bytes, little-endian, of the SHA-256 of `consign gear 1` and the byte `b`.
#[rustfmt::skip]
pub(crate) static GEAR: [u64; 256] = [
    0xe56a_1843_badb_161e, 0xb692_10aa_283a_b4e4, 0x26ff_7b70_b1e4_7553, 0x4eaf_d3e3_452d_0452,
    0x2682_4452_1b33_729f, 0x48a8_7a9e_110b_1cc0, 0x4adf_9aeb_bbf6_d338, 0x149a_ab7c_ed91_568d,
    0xa397_67b4_1755_d819, 0x7a46_0be2_946f_ad3f, 0x44d9_5c33_6217_c8e2, 0xbfa3_92f5_350d_58d9,
    0xe9f6_5c11_40fd_95e3, 0xa411_ace1_af52_bc9a, 0x2a59_8e1a_189c_6957, 0xb37e_4b0b_5e83_0708,
    0x2f39_dfd8_6d88_2115, 0x6947_88d5_b0df_ef6a, 0x5d1a_77fe_2ff8_ff76, 0xdb4d_2eaa_d797_42c1,
    0x0de8_a7d4_7209_c0a4, 0x0518_e5a0_ab67_c54d, 0xf1da_12d0_60e0_086a, 0x21b4_6a2a_c09c_2943,
    0x6cee_69ba_7a6d_bc65, 0x41a2_cb6d_e77d_cd8e, 0x1ac5_a166_27a5_8459, 0x65ab_c59b_8a68_86c7,
    0xbc15_410e_ddf4_d452, 0xdcd7_6953_c4b7_af0f, 0x461f_bdfe_3ea2_317d, 0xbda8_9c2a_171c_dd26,
    0x0a5c_831a_e51e_55e8, 0xb041_b901_dbbd_ff0a, 0x1526_f0e9_3dd9_e975, 0x6dcf_4b82_d863_116f,
    0xab5d_6a3e_d9f2_67f5, 0x4b47_c207_39a6_9847, 0x219e_8f9d_4643_1588, 0xdcd7_cdd9_0c9d_a092,
    0xe717_7b63_e071_319a, 0x85b9_7a22_d634_096f, 0x5566_80d9_9dde_b611, 0xac4b_b95b_be84_af64,
    0xfd51_bbc9_0b43_7254, 0xdcd8_b743_9779_c158, 0x2a8e_8ae6_3323_deca, 0xe111_3419_5d49_f51a,
    0xe54c_61dc_f13d_19c1, 0xf04e_8214_6791_201d, 0xf643_4e4b_1cb1_2aea, 0xf1d7_a965_5aa2_2da4,
    0x42df_b781_b233_4a41, 0x507c_35fc_6d74_d7b9, 0xcbc9_5049_a8df_d36b, 0x000e_3cdf_d819_a550,
    0xe89d_88f2_e481_18a9, 0x0117_6e23_eaea_5656, 0xd930_78f9_675f_d86c, 0x37be_17fb_1fc5_f85e,
    0xfae6_d287_e4a6_0e38, 0x07ba_f497_fc6b_5d72, 0xff0a_32c4_cd00_d93a, 0x9f2d_98cb_68fe_0c69,
    0xf2ac_7e1a_a911_3c36, 0x106d_a24b_d991_915e, 0xc54e_14e3_6986_ee22, 0x123b_d897_ebc5_10ca,
    0xf771_6c14_6ec5_7b98, 0xa458_3169_3591_6b43, 0xdcf6_ad55_f6a1_0dfc, 0xb7fb_f5ac_84d7_de2e,
    0x16a9_d5fe_9b00_c018, 0xa50c_4592_34d7_a988, 0x031f_b5fb_308a_cd77, 0x6ad7_0ad4_759a_27b1,
    0xf426_da50_f70d_0372, 0x1f83_f02d_b40f_8329, 0x7be3_f6e5_0b0d_5abf, 0x2b9a_88a8_dbc3_90dd,
    0xb7af_2183_725a_2d4c, 0x4e20_dd59_2dc0_6d27, 0x76d9_078f_3723_2432, 0x1991_f986_e182_cdd9,
    0x869f_2757_edf7_d4b9, 0x2fd5_fd41_9229_e97a, 0x6ead_8160_589e_8cfd, 0xeb4c_d682_5179_6daa,
    0x9f88_b740_4ea8_b2ed, 0x229e_741b_a405_2ab4, 0x397a_d268_4055_f037, 0x07ce_9cf6_0889_67f9,
    0x9200_69b2_d1b7_4266, 0x1691_5c65_c0bc_3b64, 0x1e8a_31d3_8c2f_7dba, 0x0908_128c_f5f3_6fed,
    0xc88e_d0af_0c26_3df2, 0x1879_6619_2d04_1dc7, 0xdc61_a3ea_4b5e_5704, 0x33a1_936d_ab0a_9f31,
    0x9a2d_3110_8010_5e74, 0x8399_c076_a7ee_d91e, 0x6109_fe1b_4a67_9608, 0xbd50_630f_d8da_7afa,
    0x0390_ce80_ee6f_e7af, 0xb022_ad2a_56c0_6585, 0x97e5_bf92_4337_ee82, 0xf1c5_359d_af3f_2b72,
    0x5a92_8bfd_6e37_2468, 0x5b11_e966_a877_5a49, 0xee7c_d888_6abd_5885, 0x69ee_6d50_fc58_8ab1,
    0x3729_abd5_14ba_24c0, 0x2ed9_08a4_583d_2726, 0x27cc_d87f_ea92_22b0, 0xadba_fbc8_f6fa_9540,
    0xdfc6_40bd_2024_986f, 0x7d4d_2161_bda7_0a4c, 0x11a5_06ce_4d6a_2154, 0x8cc8_21ae_8a5d_2a1c,
    0x17ca_4297_d27c_837a, 0x23f6_b584_539f_38dd, 0x0ffe_7802_25cc_6cd8, 0x194a_ae83_c57d_e88c,
    0x176d_baec_4ad4_8c25, 0xc13a_4201_c0d1_2829, 0x0cf5_d6c6_19b0_df62, 0xd368_c70d_beed_4302,
    0x41a3_c6f0_4e96_103e, 0x654e_cce7_912d_0b59, 0xd628_f101_daea_76d0, 0xecdf_3135_8453_64a5,
    0xf1f3_a020_d18c_0500, 0x12a3_950e_35c3_e069, 0x4034_2575_51b3_77cf, 0xa71e_d1fe_bd89_25b6,
    0x2c40_b74d_12a8_170f, 0x3d9b_085a_f3ba_ccec, 0x79c2_18ec_456e_29f1, 0xb982_c68f_0032_099c,
    0xb0a0_3719_84b2_3a44, 0x42a6_1ead_573c_a3bf, 0x2479_eda6_d0c1_abea, 0xe43e_692c_bfd6_288d,
    0xa7ca_abe4_4f79_1f8d, 0x937e_afe3_8c4e_42fc, 0x9674_5f74_8658_bfbd, 0x471f_ed01_8ddb_d554,
    0x3889_349a_e49d_e23a, 0xf983_aca3_a30b_a280, 0x9692_1761_4986_55e5, 0xef7f_afd9_0282_4849,
    0xfa08_1f30_a78f_bbbd, 0xc241_73ce_5f03_b20b, 0x4202_76a0_6f0e_263a, 0x1002_be09_6ff0_a4e0,
    0xe537_4a66_abfc_9bb3, 0xefd7_f9c2_1901_b60f, 0xb1b8_6d7b_471d_45ad, 0xc64a_e9d3_a334_13d3,
    0x94ea_1ac7_4ca3_078e, 0xeb94_4136_da54_5bc8, 0x34f2_09bf_4fa5_4ed6, 0xff87_9463_3401_2a5b,
    0x1fde_48f0_3a43_36e2, 0x12ac_2f94_5046_b8a6, 0xd966_5104_da82_8d6e, 0x53b4_b1a9_774a_6842,
    0x9c20_12f9_2974_6016, 0x9cb5_f71c_445e_0a76, 0xf1d4_a236_c2fe_8fbb, 0x4a86_17d0_771a_b82d,
    0xa8a1_ff5c_24c5_f892, 0x560a_e537_cffa_332b, 0xc239_0b90_e31c_a868, 0x68e2_1292_72b9_1919,
    0x40f3_3a1a_0379_7135, 0xc7be_9d7a_e3d5_1c9a, 0x5dcd_b568_8ac7_a8ce, 0x1b98_7e93_3cdd_1150,
    0x097c_0558_88b0_707b, 0xdb54_08ab_b95e_5447, 0x73f0_aa35_ead6_6328, 0xf59b_f4f9_6af5_8f67,
    0xdd65_b330_5895_6e09, 0x96a1_e753_06c7_f4e9, 0x0b18_fb0f_bcee_68a7, 0xf4eb_2201_a5dd_5675,
    0x3bf3_f802_d528_68e1, 0xe1e5_5fd1_41a3_7be5, 0x53b5_6de3_0432_269a, 0x4f30_5218_54cf_57f2,
    0x279d_216b_0466_29fe, 0x22ac_eced_23ad_f365, 0x4896_fb41_b989_21ce, 0xf0eb_cc1c_4d3f_782b,
    0x6b18_43be_f3b3_85f1, 0xf095_2a0e_13d4_9034, 0x6118_40e2_7b4a_d54a, 0xcd56_beee_db55_1ddc,
    0x25f2_dff7_c1f7_404a, 0xc7c2_cfdf_339d_d1e2, 0x6b5d_1c0b_7fca_26d8, 0x5669_b3f6_725e_bf6a,
    0xc4b8_2765_a460_8d5e, 0x3f86_7076_518c_fc25, 0xe88d_fdac_3ffb_89b5, 0xab46_e10c_00dd_da6f,
    0x1456_1e62_374c_5ed0, 0x856b_fe4b_cf23_54a4, 0x55d8_43dd_c667_5228, 0xb0d1_1164_57c0_1283,
    0xd790_9f29_e890_3e4a, 0xf70a_536b_3099_fed5, 0xf14f_3bf8_27ee_e469, 0x4c4c_05ad_61b5_03f3,
    0x68c6_3d8a_5ffa_7229, 0x0ed8_d290_d2e4_aa27, 0x7ea7_9502_6caf_6c2a, 0x7af6_0c9a_9d40_cf42,
    0xdac3_24a3_08bf_d219, 0x773a_354b_2838_c517, 0x58ee_d2ae_db74_7dcb, 0xa16e_8e56_fe7a_f676,
    0x5d9c_9a08_0486_afbd, 0x7813_fb75_feac_4849, 0x82b7_707e_a1a9_da52, 0x36d6_5d4b_22d6_55bf,
    0xcc64_1ab2_9842_4663, 0x1395_5a55_e25a_d477, 0xd5cb_8d56_e4fe_cd92, 0xa4a2_c9d7_fb1c_5c5a,
    0xc7f8_1ccb_fb0b_08d1, 0x654d_436f_b3a5_f4e6, 0x10dd_5885_a9fe_34b2, 0xefaa_7578_609c_b85c,
    0xafc0_f2e8_8e62_f088, 0x0192_a7ff_b994_fb30, 0xccff_5a43_f053_8cfe, 0x5daf_0eab_033c_16e5,
    0x6119_1318_c45d_90d6, 0x876b_b5a3_5880_3f77, 0xa616_179b_c668_cebc, 0xdf96_0551_854b_9545,
    0xa414_56c6_198e_153f, 0x6b8c_3b4d_6bd6_98f0, 0x9709_12a6_0568_95b3, 0x559f_8bf7_44da_027f,
    0x71a8_ac37_4b08_dafa, 0x964f_efab_944b_94ce, 0x6498_53a7_79df_f4f0, 0x82e3_25ab_0d43_dfd8,
    0x2909_5668_5202_6810, 0x6855_edc6_18cb_db99, 0x4a18_9e44_7bb9_75d7, 0xa20e_fb42_1991_1f4b,
];

#[cfg(test)]
mod tests {
    use consign_metadata::Sha256Digest;

    use super::GEAR;

    #[test]
    fn the_table_is_made_as_it_says() {
        for (byte, entry) in (0..=u8::MAX).zip(GEAR) {
            let digest = Sha256Digest::of(&[b"consign gear 1".as_slice(), &[byte]].concat());
            assert!(digest.as_bytes().starts_with(&entry.to_le_bytes()), "{byte}");
        }
    }
}
